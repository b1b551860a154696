/**
 * The best way: a WebSocket.
 *
 * @module way-socket
 */
import { PROTOCOL, parsed, spoken } from "./protocol.js";

const OPEN = 1;

export class SocketLine {
  #socket;
  #watched = /** @type {Set<string>} */ (new Set());

  /** @param {import("./ways.js").Setting} setting */
  constructor({ url, token, where, heard, ended, tools }) {
    const there = new URL(url);
    there.protocol = there.protocol.replace(/^http/, "ws");
    const socket = new tools.WebSocket(there.href, [PROTOCOL]);
    this.#socket = socket;
    socket.onopen = () => {
      const hello = { t: "hello", v: 1, cursor: where().cursor };
      this.say(token === undefined ? hello : { ...hello, token });
    };
    socket.onmessage = ({ data }) => {
      const frame = parsed(data);
      if (frame !== null) heard(frame);
    };
    socket.onclose = ({ code }) => ended({ code, why: spoken(code) ? "trouble" : "cut" });
  }

  /** @param {any} frame */
  say(frame) {
    if (this.#socket.readyState === OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** @param {string[]} topics */
  watch(topics) {
    for (const topic of topics) if (!this.#watched.has(topic)) this.say({ t: "watch", topic });
    for (const topic of this.#watched) if (!topics.includes(topic)) this.say({ t: "unwatch", topic });
    this.#watched = new Set(topics);
  }

  /** It is asked by a frame. */
  turn() {}

  close() {
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(1000);
  }
}
