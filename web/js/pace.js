/**
 * Timers that keep time in a hidden page too: while it is hidden, a worker counts along, and whoever is first rings.
 *
 * @module pace
 */

const TICKER = new URL("./ticker.js", import.meta.url);

/** @implements {import("./live.js").Timers} */
export class Pace {
  #jobs = /** @type {Map<number, {run: () => void, at: number, timer: any}>} */ (new Map());
  #last = 0;
  #worker = /** @type {Worker|null|undefined} null: there can be none */ (undefined);

  constructor() {
    document.addEventListener("visibilitychange", () => this.#lend());
    this.#lend();
  }

  /** @returns {number} in ms of the epoch */
  now() {
    return Date.now();
  }

  /** @param {() => void} run @param {number} ms @returns {number} */
  setTimeout(run, ms) {
    const id = (this.#last += 1);
    const timer = globalThis.setTimeout(() => this.#ring(id), ms);
    this.#jobs.set(id, { run, at: this.now() + ms, timer });
    if (document.hidden) this.#worker?.postMessage([id, ms]);
    return id;
  }

  /** @param {number} id */
  clearTimeout(id) {
    const job = this.#jobs.get(id);
    if (!job) return;
    this.#jobs.delete(id);
    globalThis.clearTimeout(job.timer);
    if (document.hidden) this.#worker?.postMessage([id, null]);
  }

  #ring(id) {
    const job = this.#jobs.get(id);
    this.clearTimeout(id);
    job?.run();
  }

  /** What is on its way when the page is hidden is counted by the worker too. */
  #lend() {
    if (!document.hidden) return;
    if (this.#worker === undefined) this.#worker = started((id) => this.#ring(id));
    for (const [id, { at }] of this.#jobs) this.#worker?.postMessage([id, Math.max(0, at - this.now())]);
  }
}

/** @param {(id: number) => void} ring @returns {Worker|null} null where the page's policy allows none */
function started(ring) {
  try {
    const worker = new Worker(ours(), { type: "module", name: "hub-ticker" });
    worker.onmessage = ({ data }) => ring(data);
    worker.onerror = (event) => event.preventDefault(); // the page's own timers go on
    return worker;
  } catch {
    return null;
  }
}

/** A worker must be of the page's own origin; on another application's page, a line of its own fetches ours. */
function ours() {
  if (TICKER.origin === location.origin) return TICKER;
  return URL.createObjectURL(new Blob([`import ${JSON.stringify(TICKER.href)};`], { type: "text/javascript" }));
}
