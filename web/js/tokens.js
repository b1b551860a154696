/**
 * The live token of whoever uses another application: had from its page, and kept until shortly before it ends.
 *
 * @module tokens
 */

const SPARE_MS = 30_000;

export class Tokens {
  #ask;
  #kept = /** @type {string|null} */ (null);
  #coming = /** @type {Promise<string>|null} */ (null);

  /** @param {() => Promise<string>|string} ask the page for another one */
  constructor(ask) {
    this.#ask = ask;
  }

  /** @returns {Promise<string>} another one; whoever asks meanwhile gets the same */
  fresh() {
    this.#coming ??= this.#get().finally(() => {
      this.#coming = null;
    });
    return this.#coming;
  }

  /** @returns {Promise<string>} the one there is, while it lasts */
  async current() {
    return this.kept ?? this.fresh();
  }

  /** @returns {string|null} the one there is, while it lasts */
  get kept() {
    return this.#kept !== null && endOf(this.#kept) - Date.now() > SPARE_MS ? this.#kept : null;
  }

  async #get() {
    const token = await this.#ask();
    if (typeof token !== "string" || token === "") throw new TypeError("<hub-bell>: the page gave no token");
    this.#kept = token;
    return token;
  }
}

/** When a token ends, in ms; it is the hub that checks it, this only saves a refusal. @param {string} token */
function endOf(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(payload)).exp * 1_000;
  } catch {
    return 0;
  }
}
