/**
 * The hub over HTTP: with the session's cookie on its own pages, by live token, and no cookie, on those of others.
 *
 * @module api
 */

/** @typedef {import("./tokens.js").Tokens} Tokens */

export class Api {
  #hub;
  #tokens;

  /** @param {URL} hub its address @param {Tokens|null} [tokens] none on the hub's own pages */
  constructor(hub, tokens = null) {
    this.#hub = hub;
    this.#tokens = tokens;
  }

  /**
   * Nobody's hand, so it keeps no session alive.
   * @param {string} path @param {Record<string, any>} query
   * @returns {Promise<Response>}
   */
  async get(path, query) {
    const there = new URL(`${path}?${new URLSearchParams(query)}`, this.#hub);
    const ask = (headers) => fetch(there, { headers: { Accept: "application/json", ...headers }, cache: "no-store", credentials: this.#credentials });
    if (this.#tokens === null) return ask({ "X-Background": "1" });
    const answer = await ask(bearer(await this.#tokens.current()));
    return answer.status === 401 ? ask(bearer(await this.#tokens.fresh())) : answer;
  }

  /** Say something as the page goes; nobody hears the answer. @param {string} path @param {object} body */
  part(path, body) {
    const token = this.#tokens?.kept;
    if (token === null) return;
    const headers = { "Content-Type": "application/json", ...(token && bearer(token)) };
    const there = new URL(path, this.#hub);
    const whole = { method: "POST", keepalive: true, headers, body: JSON.stringify(body), credentials: this.#credentials };
    fetch(there, whole).catch(() => undefined);
  }

  /** @returns {RequestCredentials} */
  get #credentials() {
    return this.#tokens === null ? "same-origin" : "omit";
  }
}

function bearer(token) {
  return { Authorization: `Bearer ${token}` };
}
