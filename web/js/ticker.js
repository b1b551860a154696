/**
 * Runs in a worker: browsers slow the timers of a hidden page down to one a minute, those of its workers they do not.
 *
 * @module ticker
 */

/** @type {Map<number, any>} */
const timers = new Map();

/** `[id, ms]` starts a timer, which answers with its id; `[id, null]` stops it. */
globalThis.onmessage = ({ data: [id, ms] }) => {
  clearTimeout(timers.get(id));
  timers.delete(id);
  if (ms === null) return;
  const ring = () => {
    timers.delete(id);
    globalThis.postMessage(id);
  };
  timers.set(id, setTimeout(ring, ms));
};
