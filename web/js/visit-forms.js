/**
 * The forms of the arrivals board: a dialog that the server fills, and asks again until everything is right.
 *
 * @module visit-forms
 */
import { speak } from "./announce.js";
import { endsSession } from "./connection.js";
import { el } from "./element.js";

const FIND_MS = 250;

/** @typedef {{ok: boolean, html: string, problem: string}} Answered what came back: a piece of page, or why there is none */

export class VisitForms {
  #dialog;
  #words;
  #answered;
  #row = /** @type {HTMLElement|null} */ (null);
  #timer = 0;
  #asked = 0;

  /**
   * @param {HTMLDialogElement|null} dialog where forms open; without one, the page is the form
   * @param {import("./words.js").Words} words
   * @param {(answered: Answered, row: HTMLElement|null) => void} answered hears of each step that was taken or refused
   */
  constructor(dialog, words, answered = () => {}) {
    this.#dialog = dialog;
    this.#words = words;
    this.#answered = answered;
    document.addEventListener("input", ({ target }) => this.#typed(target));
    if (!dialog) return;
    document.addEventListener("click", (event) => this.#click(event));
    dialog.addEventListener("submit", (event) => this.#submit(event));
    dialog.addEventListener("close", () => document.activeElement === document.body && this.#row?.focus());
  }

  #click(event) {
    if (event.defaultPrevented || event.button > 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const link = event.target.closest?.("a[data-opens-form], a[data-close-dialog]");
    if (!link) return;
    event.preventDefault();
    if (link.hasAttribute("data-close-dialog")) this.#dialog?.close();
    else this.#open(link);
  }

  async #open(link) {
    if (this.#dialog?.open) return;
    this.#row = link.closest("[data-row]");
    for (const menu of document.querySelectorAll(":popover-open")) /** @type {any} */ (menu).hidePopover();
    try {
      const answer = await fetch(link.href, { headers: { "X-Fragment": "form" } });
      if (endsSession(answer)) return;
      const html = await answer.text();
      if (this.#dialog?.open) return;
      if (this.#fill(html)) this.#dialog?.showModal();
      else this.#answered({ ok: answer.ok, html, problem: "" }, this.#row);
    } catch {
      this.#answered({ ok: false, html: "", problem: this.#words.say("noAnswer") }, this.#row);
    }
  }

  #fill(html) {
    const next = new DOMParser().parseFromString(html, "text/html");
    if (next.querySelector("[data-visit-form]") === null) return false;
    this.#dialog?.replaceChildren(...next.body.childNodes);
    this.#dialog?.setAttribute("aria-labelledby", "visit-form-title");
    return true;
  }

  async #submit(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    form.setAttribute("aria-busy", "true");
    const answered = await ask(form, event.submitter, this.#words);
    form.removeAttribute("aria-busy");
    if (this.#fill(answered.html)) {
      /** @type {HTMLElement|null|undefined} */ (this.#dialog?.querySelector("[autofocus]"))?.focus();
    } else if (answered.html) {
      this.#dialog?.close();
      this.#answered(answered, this.#row);
    } else if (answered.problem) {
      form.querySelector("[data-problem]")?.remove();
      form.prepend(el("p", { "data-problem": true, role: "alert", class: "field-error", text: answered.problem }));
    }
  }

  #typed(target) {
    if (!(target instanceof HTMLInputElement)) return;
    const own = target.name === "reason" ? target.form?.querySelector("[name=why][value=own]") : null;
    if (own instanceof HTMLInputElement) own.checked = true;
    if (!target.dataset.findPatient) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#find(target), FIND_MS);
  }

  /** Who is known by what was typed; only the answer to the newest question counts. */
  async #find(input) {
    const asked = ++this.#asked;
    const place = input.form.querySelector("[data-found]");
    const address = `${input.dataset.findPatient}?${new URLSearchParams({ who: input.value })}`;
    try {
      const answer = await fetch(address, { headers: { "X-Fragment": "found" } });
      if (endsSession(answer) || !answer.ok) return;
      const found = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (asked !== this.#asked) return;
      place.replaceChildren(...found.body.childNodes);
      const region = document.querySelector("[data-announce]");
      if (region) speak(region, this.#words.count("found", place.querySelectorAll("[data-known]").length));
    } catch {
      // Without an answer nobody is offered; booking asks again.
    }
  }
}

/**
 * Send a form as its button would.
 * @param {HTMLFormElement} form @param {HTMLElement|null} by the button @param {import("./words.js").Words} words
 * @returns {Promise<Answered>}
 */
export async function ask(form, by, words) {
  const body = new URLSearchParams(/** @type {any} */ (new FormData(form, by)));
  const address = by?.getAttribute("formaction") ?? form.action;
  try {
    const answer = await fetch(address, { method: "POST", headers: { "X-Fragment": "board" }, body });
    const type = answer.headers.get("Content-Type") ?? "";
    if (endsSession(answer)) return { ok: false, html: "", problem: "" };
    const isPage = type.startsWith("text/html") && answer.status < 500;
    if (isPage) return { ok: answer.ok, html: await answer.text(), problem: "" };
    return { ok: false, html: "", problem: type.includes("json") ? reason(await answer.json()) : "" };
  } catch {
    return { ok: false, html: "", problem: words.say("noAnswer") };
  }
}

/** What a problem document says, the fields first. */
function reason({ detail, title, errors = [] }) {
  return [...errors.map((error) => error.detail), detail ?? title].find(Boolean) ?? "";
}
