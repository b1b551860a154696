/**
 * What the ways to the hub have in common. A way carries frames and nothing more: it knows no inbox, and one that
 * ended never comes back by itself. Because every way begins at the cursor, a switch loses nothing.
 *
 * @module ways
 */

/**
 * @typedef {"trouble"|"barred"|"cut"|"silent"} Why
 *   `trouble`: the hub, or who speaks for it, says so, and would on any way; `barred`: there is no such way here;
 *   `cut`: it ended without a word; `silent`: nothing came in time
 */
/** @typedef {{code: number|null, retryAfter?: number|null, why: Why}} End `code` of a close frame, `retryAfter` in s */
/** @typedef {{cursor: {epoch: string, seq: number}|null, topics: [string, number][]}} Where versions are -1 when unknown */
/**
 * @typedef {object} Tools
 * @property {typeof globalThis.WebSocket} WebSocket
 * @property {typeof globalThis.fetch} fetch
 * @property {import("./alarms.js").Timers} timers
 */
/**
 * @typedef {object} Setting
 * @property {URL} url of the hub's live endpoint, by HTTP
 * @property {string} [token] only where there is no cookie
 * @property {() => Where} where how far the client has come
 * @property {(frame: any) => void} heard a frame that came along the way
 * @property {(frame: any) => void} answered a frame that came aside, and says nothing about the way
 * @property {(end: End) => void} ended once, and only when nobody here closed it
 * @property {Tools} tools
 */
/**
 * @typedef {object} Line an open way
 * @property {(frame: any) => void} say
 * @property {(topics: string[]) => void} watch these, and no others
 * @property {() => void} turn begin again at the cursor, so that something is heard soon; a socket needs no such thing
 * @property {() => void} close nothing is heard of it afterwards
 */

import { EventsLine } from "./way-events.js";
import { PollLine } from "./way-poll.js";
import { SocketLine } from "./way-socket.js";

const LINES = { socket: SocketLine, events: EventsLine, poll: PollLine };

/**
 * Throws where the browser does not even have such a way, or is not allowed to go it.
 * @param {import("./ladder.js").WayName} way @param {Setting} setting @returns {Line}
 */
export function openLine(way, setting) {
  return new LINES[way](setting);
}
