/**
 * The one live connection of the page, shared by whatever shows something live.
 *
 * @module connection
 */
import { Live } from "./live.js";

/** @typedef {import("./live.js").Status} Status */

const CATCHING_UP_SHOWS_MS = 400;
const FIRST_MS = 1_500;

let shared = /** @type {Live|null} */ (null);

/**
 * @param {{src?: string, user?: string}} [options] count only for the first who asks
 * @returns {Live} started
 */
export function connection({ src = "/live", user = "" } = {}) {
  if (shared !== null) return shared;
  const live = new Live({ url: src, cursor: kept(`hub:cursor:${user}`) });
  shared = live;
  live.addEventListener("signed-out", signedOut);
  globalThis.addEventListener("online", () => live.wake(true));
  globalThis.addEventListener("offline", () => live.wake(true));
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && live.wake());
  globalThis.addEventListener("pagehide", () => {
    handOver(live, src);
    live.stop();
  });
  globalThis.addEventListener("pageshow", ({ persisted }) => persisted && live.start());
  live.start();
  return live;
}

/** Tell the page that the session is over. */
function signedOut() {
  document.dispatchEvent(new CustomEvent("hub-signed-out"));
}

/**
 * Whether an answer says that the session is over; then the page is told.
 * @param {Response} answer @returns {boolean}
 */
export function endsSession(answer) {
  const over = answer.status === 401 || new URL(answer.url).pathname === "/sign-in";
  if (over) signedOut();
  return over;
}

/**
 * Tell the status to somebody who shows it. A catching-up of a few milliseconds is nothing to look at;
 * a connection that is down is shown at once.
 * @param {Live} live @param {(status: Status) => void} show
 */
export function watchStatus(live, show) {
  let timer = 0;
  const look = (wait) => {
    clearTimeout(timer);
    const { status } = live;
    if (status.state === "catching-up") timer = setTimeout(() => show(live.status), wait);
    else show(status);
  };
  live.addEventListener("status", () => look(CATCHING_UP_SHOWS_MS));
  look(FIRST_MS);
}

/** Marks on their way when the page goes are handed to HTTP, which outlives it. They may come twice. */
function handOver(live, src) {
  const api = new URL("/api/v1/notifications/", new URL(src, location.href).href.replace(/^ws/, "http"));
  for (const { t, ids, upto } of live.unanswered) {
    const all = t === "read_all";
    const body = JSON.stringify(all ? { upto } : { ids });
    const headers = { "Content-Type": "application/json" };
    const there = new URL(all ? "read-all" : t, api);
    fetch(there, { method: "POST", keepalive: true, headers, body }).catch(() => undefined);
  }
}

/** The cursor outlives the page: three numbers and no word of any notification. */
function kept(key) {
  return {
    load() {
      try {
        const { epoch, seq, top } = JSON.parse(localStorage.getItem(key) ?? "{}");
        return typeof epoch === "string" && Number.isInteger(seq) ? { epoch, seq, top } : null;
      } catch {
        return null;
      }
    },
    save(cursor) {
      try {
        localStorage.setItem(key, JSON.stringify(cursor));
      } catch {
        // no storage: the next page starts with a snap
      }
    },
  };
}
