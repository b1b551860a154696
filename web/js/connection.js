/**
 * The one live connection to a hub, shared by whatever shows something live, in this page and in all tabs.
 *
 * @module connection
 */
import { Api } from "./api.js";
import { Live } from "./live.js";
import { Pace } from "./pace.js";
import { Tabs } from "./tabs.js";

/** @typedef {import("./live.js").Status} Status */
/** @typedef {import("./tokens.js").Tokens} Tokens */

const CATCHING_UP_SHOWS_MS = 400;
const FIRST_MS = 1_500;

const shared = /** @type {Map<string, Tabs>} */ (new Map());
const holders = /** @type {Map<Tabs, number>} */ (new Map());

/**
 * @param {object} [options]
 * @param {string} [options.src] of the live connection
 * @param {string} [options.user] who is signed in; nobody else's tabs share it. Without it this page is on its own.
 * @param {Tokens|null} [options.tokens] where there is no cookie
 * @returns {Tabs} started
 */
export function connection({ src = "/live", user = "", tokens = null } = {}) {
  const url = new URL(src, location.href);
  url.protocol = url.protocol.replace(/^ws/, "http");
  const whose = `${user || crypto.randomUUID()}@${url.origin}`;
  const known = shared.get(whose);
  if (known) return hold(known);
  const timers = new Pace();
  const store = user ? kept(`hub:cursor:${whose}`) : forgotten;
  const open = (cursor) =>
    new Live({
      url: url.href,
      timers,
      cursor: { load: () => cursor ?? store.load(), save: store.save },
      // A token says whose it is, and on other pages `user` is their own name for the person.
      ...(tokens ? { token: () => tokens.fresh() } : user && { person: user }),
    });
  const tabs = new Tabs({ name: `hub:live:${whose}`, open, timers });
  if (tokens === null) tabs.addEventListener("signed-out", signedOut);
  shared.set(whose, tabs);
  comeAndGo(tabs, new Api(url, tokens));
  return hold(tabs);
}

/** It is shown once more. @param {Tabs} tabs @returns {Tabs} started */
export function hold(tabs) {
  holders.set(tabs, (holders.get(tabs) ?? 0) + 1);
  tabs.start();
  return tabs;
}

/** One of those who show it is gone from the page; with the last of them it ends. @param {Tabs} tabs */
export function release(tabs) {
  const left = (holders.get(tabs) ?? 0) - 1;
  holders.set(tabs, left);
  if (left <= 0) tabs.stop();
}

/** The page is hidden, put away, taken up again; the network comes and goes. @param {Tabs} tabs @param {Api} api */
function comeAndGo(tabs, api) {
  const leave = () => {
    handOver(tabs, api);
    tabs.stop();
  };
  const back = () => (holders.get(tabs) ?? 0) > 0 && tabs.start();
  globalThis.addEventListener("online", () => tabs.wake(true));
  globalThis.addEventListener("offline", () => tabs.wake(true));
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && tabs.wake());
  document.addEventListener("freeze", leave);
  document.addEventListener("resume", back);
  globalThis.addEventListener("pagehide", leave);
  globalThis.addEventListener("pageshow", ({ persisted }) => persisted && back());
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
 * @param {Tabs} live @param {(status: Status) => void} show
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
function handOver(tabs, api) {
  for (const { t, ids, upto } of tabs.unanswered) {
    if (t === "read_all") api.part("/api/v1/notifications/read-all", { upto });
    else api.part(`/api/v1/notifications/${t}`, { ids });
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

/** Whose it would be is not known. */
const forgotten = { load: () => null, save: () => undefined };
