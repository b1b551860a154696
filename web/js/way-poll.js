/**
 * The last way: requests that wait until there is news. It works wherever a page can be fetched.
 *
 * @module way-poll
 */
import { HttpLine, is, refusal } from "./way-http.js";

const JSON_TYPE = "application/json";
const WAIT_S = 25;
const APART_MS = 250;

export class PollLine extends HttpLine {
  /** @param {import("./ways.js").Setting} setting */
  constructor(setting) {
    super(setting, follow);
  }
}

/** @param {HttpLine} line @param {AbortSignal} signal */
async function follow(line, signal) {
  for (let again = false; !signal.aborted; again = true) {
    const began = line.timers.now();
    for (const frame of await ask(line, again, signal)) if (!signal.aborted) line.heard(frame);
    await line.rest(Math.max(0, began + APART_MS - line.timers.now()));
  }
}

/** @param {HttpLine} line @param {boolean} again @param {AbortSignal} signal @returns {Promise<any[]>} */
async function ask(line, again, signal) {
  const query = line.query(again ? { wait: String(WAIT_S), again: "1" } : {});
  const answer = await line.ask("poll", { query, accept: JSON_TYPE, signal }).catch(() => null);
  const whole = answer !== null && is(answer, JSON_TYPE);
  const frames = whole ? await answer.json().catch(() => null) : null;
  if (signal.aborted) return [];
  if (frames !== null) return frames;
  line.end(answer === null || whole ? { code: null, why: "cut" } : refusal(answer));
  return [];
}
