/**
 * The outbox, kept as it is by asking for the page again every few seconds: what comes in appears at the top, unless
 * somebody is at work in the list; then it waits behind a button.
 *
 * @module outbox
 */
import { endsSession } from "./connection.js";
import { el } from "./element.js";
import { isWriting, keyOf } from "./keys.js";
import { LOCAL, morph } from "./morph.js";

const ASK_EVERY_MS = 2_000;
const AGAIN_MS = 10_000;
const PARTS = ["[data-outbox-count]", "[data-outbox-list]", "[data-outbox-state]"];

const outbox = /** @type {HTMLElement|null} */ (document.querySelector("[data-outbox]"));
const list = /** @type {HTMLElement|null} */ (outbox?.querySelector("[data-outbox-list]"));
let timer = 0;

if (outbox && list) {
  later(ASK_EVERY_MS);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && ask());
  document.addEventListener("keydown", step);
  list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
}

function later(ms) {
  clearTimeout(timer);
  timer = setTimeout(ask, ms);
}

async function ask() {
  if (document.visibilityState !== "visible") return;
  try {
    const answer = await fetch(location.href, { headers: { "X-Background": "1" }, cache: "no-store" });
    if (endsSession(answer)) return;
    if (!answer.ok) throw new Error(String(answer.status));
    take(new DOMParser().parseFromString(await answer.text(), "text/html"), false);
    later(ASK_EVERY_MS);
  } catch {
    later(AGAIN_MS);
  }
}

/** Make the parts of the page like those of a newer one; new rows wait while somebody is at work in the list. */
function take(next, showAll) {
  const fresh = rows(next).filter((row) => !document.getElementById(row.id));
  const waits = fresh.length > 0 && !showAll && isInUse();
  for (const part of PARTS) {
    const old = document.querySelector(part);
    const newer = next.querySelector(part);
    if (old && newer && !(waits && old === list)) morph(old, newer);
  }
  list?.querySelector("[data-outbox-news]")?.remove();
  if (waits) offer(next);
}

function rows(page) {
  return [...page.querySelectorAll("[data-kept]")];
}

/** Whether the rows must stay where they are: a finger or the focus is on one, or they were scrolled. */
function isInUse() {
  if (rows(document).length === 0) return false;
  return Boolean(list?.matches(":hover, :focus-within")) || (list?.scrollTop ?? 0) > 0;
}

function offer(next) {
  const text = outbox?.dataset.showNew ?? "";
  const show = () => {
    take(next, true);
    list?.scrollTo({ top: 0 });
  };
  const button = el("button", { type: "button", class: "button is-primary is-small", on: { click: show }, text });
  list?.prepend(el("p", { "data-outbox-news": true, [LOCAL]: true, class: "outbox-news" }, button));
}

/** j and k, or the arrows, go through the list as a mail client does. */
function step(event) {
  const key = keyOf(event);
  if (event.defaultPrevented || isWriting(event.target) || document.querySelector("dialog[open]")) return;
  const single = document.body.dataset.shortcuts !== "off";
  const isInside = list?.contains(document.activeElement);
  const by = { j: single && 1, k: single && -1, ArrowDown: isInside && 1, ArrowUp: isInside && -1 }[key ?? ""];
  if (!by) return;
  const links = /** @type {HTMLElement[]} */ ([...(list?.querySelectorAll("[data-kept] a") ?? [])]);
  const at = links.findIndex((link) => link === document.activeElement || (!isInside && link.ariaCurrent));
  const link = links[Math.max(0, Math.min(at + by, links.length - 1))];
  if (!link) return;
  event.preventDefault();
  link.focus();
  link.scrollIntoView({ block: "nearest" });
}
