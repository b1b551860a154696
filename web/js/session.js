/**
 * The end of an idle session: a warning a minute before, one press to stay, then the way to the door.
 *
 * Only a person's own hand counts as activity. Tabs tell each other through one number in the storage. And one browser
 * has one session: where somebody else has signed in, the pages of who was there before leave.
 *
 * @module session
 */
import { endsSession } from "./connection.js";
import { write } from "./element.js";

const KEPT = "hub:signed-in-until";
const TOUCH_EVERY_MS = 60_000;
const WARN_MS = 60_000;
const LOOK_MS = 1_000;
const ACTIVITY = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];

export class Session {
  #idle;
  #words;
  #dialog;
  #left;
  #until;
  #touched = Date.now();
  #leaving = false;

  /** @param {number} idleSeconds @param {import("./words.js").Words} words */
  constructor(idleSeconds, words) {
    this.#idle = idleSeconds * 1_000;
    this.#words = words;
    this.#dialog = /** @type {HTMLDialogElement|null} */ (document.querySelector("dialog[data-idle]"));
    this.#left = this.#dialog?.querySelector("[data-idle-left]") ?? null;
    this.#until = Date.now() + this.#idle;
    this.#keep(this.#until);
    for (const type of ACTIVITY) {
      globalThis.addEventListener(type, () => this.#active(), { passive: true, capture: true });
    }
    this.#dialog?.addEventListener("close", () => this.#stay());
    document.addEventListener("hub-signed-out", () => this.#leave());
    document.addEventListener("visibilitychange", () => this.#look());
    setInterval(() => this.#look(), LOOK_MS);
    this.#meet(document.body.dataset.user ?? "");
  }

  /** The newest page says who has the session. @param {string} user */
  #meet(user) {
    if (!globalThis.BroadcastChannel) return;
    const people = new BroadcastChannel("hub:person");
    people.onmessage = ({ data }) => data !== user && this.#leave();
    people.postMessage(user);
  }

  /** The hand of a person: tell the server, at most once a minute. While the warning stands, only its button counts. */
  #active() {
    if (this.#dialog?.open || Date.now() - this.#touched < TOUCH_EVERY_MS) return;
    this.#touch();
  }

  async #touch() {
    this.#touched = Date.now();
    try {
      const answer = await fetch("/session/touch", { method: "POST", cache: "no-store" });
      if (endsSession(answer) || !answer.ok) return;
      const seconds = Number(answer.headers.get("X-Idle-Seconds"));
      if (seconds > 0) this.#idle = seconds * 1_000;
      this.#keep(this.#touched + this.#idle);
    } catch {
      this.#touched = 0; // not heard: the next movement tries again
    }
  }

  #stay() {
    if (!this.#leaving) this.#touch();
  }

  #look() {
    const left = this.#read() - Date.now();
    if (left <= 0) this.#leave();
    else if (left > WARN_MS) this.#dialog?.open && this.#dialog.close();
    else this.#warn(Math.ceil(left / 1_000));
  }

  #warn(seconds) {
    if (!this.#dialog) return;
    if (this.#left) write(this.#left, this.#words.count("secondsLeft", seconds));
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  #leave() {
    if (this.#leaving) return;
    this.#leaving = true;
    const here = location.pathname + location.search;
    location.assign(`/sign-in?${new URLSearchParams({ next: here })}`);
  }

  #keep(until) {
    this.#until = until;
    try {
      localStorage.setItem(KEPT, String(until));
    } catch {
      // each tab for itself, then
    }
  }

  /** The latest any tab knows of, but never more than one whole session from now. */
  #read() {
    let kept = 0;
    try {
      kept = Number(localStorage.getItem(KEPT));
    } catch {
      return this.#until;
    }
    return Math.max(this.#until, Math.min(kept, Date.now() + this.#idle));
  }
}
