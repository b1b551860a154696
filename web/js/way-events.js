/**
 * The second way: an event stream, read by fetch, which sees the status and can carry a token.
 *
 * @module way-events
 */
import { parsed } from "./protocol.js";
import { HttpLine, is, refusal } from "./way-http.js";

const STREAM = "text/event-stream";

export class EventsLine extends HttpLine {
  /** @param {import("./ways.js").Setting} setting */
  constructor(setting) {
    super(setting, follow);
  }
}

/** @param {HttpLine} line @param {AbortSignal} signal */
async function follow(line, signal) {
  const answer = await line.ask("events", { query: line.query(), accept: STREAM, signal }).catch(() => null);
  if (signal.aborted) return;
  if (answer === null) line.end({ code: null, why: "cut" });
  else if (!is(answer, STREAM) || answer.body === null) line.end(refusal(answer));
  else await read(line, answer.body.getReader(), signal);
}

/** @param {HttpLine} line @param {ReadableStreamDefaultReader<Uint8Array>} reader @param {AbortSignal} signal */
async function read(line, reader, signal) {
  const split = splitter();
  while (!signal.aborted) {
    const part = await reader.read().catch(() => null);
    if (signal.aborted) return;
    if (part === null || part.done) line.end({ code: null, why: "cut" });
    else for (const data of split(part.value)) if (!signal.aborted) line.heard(parsed(data));
  }
}

/** @returns {(bytes: Uint8Array) => string[]} the data of every message that is whole by now */
export function splitter() {
  const decoder = new TextDecoder();
  let rest = "";
  let data = /** @type {string[]} */ ([]);
  return (bytes) => {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    const whole = [];
    for (const line of lines.map((text) => text.replace(/\r$/, ""))) {
      if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      if (line !== "" || data.length === 0) continue;
      whole.push(data.join("\n"));
      data = [];
    }
    return whole;
  };
}
