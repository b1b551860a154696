/**
 * What both ends of hub.v1 agreed on: its name, what the close codes ask for, and how long to stay away.
 *
 * @module protocol
 */

export const PROTOCOL = "hub.v1";

export const MALFORMED = 4000;
export const BUSY = 4104;
export const NOT_SIGNED_IN = 4150;

/** @param {number|null} code @returns {boolean} whether the hub itself said it, and not the network */
export function spoken(code) {
  return code !== null && code >= 4000;
}

/** @param {number|null} code @returns {boolean} whether this client is wrong, and would be every time */
export function stops(code) {
  return code !== null && code >= 4000 && code < 4100;
}

/** @param {number|null} code @returns {boolean} whether another proof of who this is would do */
export function asksWho(code) {
  return code !== null && code >= 4150 && code < 4200;
}

/** @typedef {{first: number, cap: number}} Backoff in seconds, as the hub said */

/**
 * How long to wait before the next attempt.
 * @param {number} attempt 0 for the first one after a connection that worked
 * @param {number|null} code the close code, if there was one
 * @param {Backoff} backoff
 * @param {() => number} random
 * @returns {number} milliseconds
 */
export function delay(attempt, code, backoff, random) {
  const cap = backoff.cap * 1_000;
  if (code !== null && code >= 4100 && code < 4150) return cap / 2 + random() * (cap / 2);
  return random() * Math.min(cap, backoff.first * 1_000 * 2 ** Math.min(attempt, 16));
}

/** An answer `err` to something that was asked. */
export class Refused extends Error {
  /** @param {string} code @param {string} [detail] */
  constructor(code, detail) {
    super(detail || code);
    this.name = "Refused";
    this.code = code;
  }
}

/** @param {string} text @returns {any} null for what cannot be read: the next heartbeat shows the hole it left */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
