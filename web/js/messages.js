/**
 * Writing a message: the preview, with its parts, follows what is typed. And one that is on its way: its page follows it.
 *
 * @module messages
 */
import { endsSession } from "./connection.js";
import { morph } from "./morph.js";

const SETTLED_MS = 250;
const LOOK_EVERY_MS = 3000;

/** @param {HTMLFormElement} form */
function follow(form) {
  let timer = 0;
  let asked = new AbortController();
  const preview = async () => {
    asked.abort();
    const mine = (asked = new AbortController());
    const body = new URLSearchParams(/** @type {any} */ (new FormData(form)));
    const asking = { method: "POST", headers: { "X-Fragment": "preview" }, body, signal: mine.signal };
    const answer = await fetch(form.action, asking).catch(() => null);
    if (!answer || endsSession(answer) || !answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-preview]");
    const shown = document.querySelector("[data-preview]");
    if (next && shown && !mine.signal.aborted) morph(shown, next);
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(preview, SETTLED_MS);
  });
}

/**
 * Look again while the message goes on, and somebody looks; what is open or has the focus stays so.
 * @param {Element} story
 */
function watch(story) {
  const look = async () => {
    if (!story.hasAttribute("data-goes-on")) return;
    if (!document.hidden) await renew(story);
    setTimeout(look, LOOK_EVERY_MS);
  };
  setTimeout(look, LOOK_EVERY_MS);
}

async function renew(story) {
  // After an answer to a button the address is that button's: the page itself is where the story stands.
  const there = location.pathname.replace(/\/(retry|cancel|now)$/, "");
  const answer = await fetch(there, { headers: { "X-Background": "1" }, cache: "no-store" }).catch(() => null);
  if (!answer || endsSession(answer) || !answer.ok) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-story]");
  if (next) morph(story, next);
}

const story = document.querySelector("[data-story]");
if (story) watch(story);
const form = /** @type {HTMLFormElement|null} */ (document.querySelector("[data-compose]"));
if (form) follow(form);
