/**
 * The editor of templates: the preview follows what is typed, variables are put in with a click, nothing is lost.
 *
 * @module templates
 */
import { endsSession } from "./connection.js";
import { el, reveal } from "./element.js";
import { morph } from "./morph.js";

const SETTLED_MS = 250;
const NAME = /^[a-z][a-z0-9_]*$/;

class Editor {
  #form;
  #variables;
  #blank;
  #timer = 0;
  #asked = /** @type {AbortController|null} */ (null);
  #last = /** @type {HTMLTextAreaElement|HTMLInputElement|null} */ (null);
  #dirty = false;

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.#form = form;
    this.#variables = /** @type {HTMLElement} */ (form.querySelector("[data-variables]"));
    this.#blank = /** @type {HTMLTemplateElement} */ (document.querySelector("[data-new-variable]"));
    form.querySelector("[data-preview-button]")?.setAttribute("hidden", "");
    form.addEventListener("input", () => this.#changed());
    form.addEventListener("change", (event) => this.#channelChosen(event));
    form.addEventListener("click", (event) => this.#clicked(event));
    form.addEventListener("focusin", ({ target }) => this.#remember(target));
    form.addEventListener("submit", () => (this.#dirty = false));
    document.addEventListener("keydown", (event) => this.#key(event));
    globalThis.addEventListener("beforeunload", (event) => this.#dirty && event.preventDefault());
    this.#renew();
  }

  #changed() {
    this.#dirty = true;
    reveal(this.#form.querySelector("[data-dirty]"));
    this.#offer();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#preview(), SETTLED_MS);
  }

  #channelChosen({ target }) {
    if (target.name === "channel") this.#form.dataset.channel = target.value;
  }

  // --- preview ----------------------------------------------------------------------------------

  /** Ask for the newest wording; an answer to an older one is of no use any more. */
  async #preview() {
    this.#asked?.abort();
    const asked = (this.#asked = new AbortController());
    const body = new URLSearchParams(/** @type {any} */ (new FormData(this.#form)));
    const headers = { "X-Fragment": "preview" };
    try {
      const answer = await fetch(this.#form.dataset.previewUrl ?? "", { method: "POST", headers, body, signal: asked.signal });
      if (endsSession(answer) || !answer.ok) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-preview]");
      const shown = document.querySelector("[data-preview]");
      if (next && shown && !asked.signal.aborted) morph(shown, next);
      frames();
    } catch {
      // Nothing answered, or a newer question was asked: what is shown stays, and the next change asks again.
    }
  }

  // --- variables --------------------------------------------------------------------------------

  #renew() {
    for (const button of this.#form.querySelectorAll("[data-remove]")) reveal(button);
    this.#offer();
  }

  #names() {
    const fields = /** @type {NodeListOf<HTMLInputElement>} */ (this.#form.querySelectorAll("[name=variable_name]"));
    return [...new Set([...fields].map(({ value }) => value.trim()).filter((name) => NAME.test(name)))];
  }

  /** A chip for each variable under each text, and below, those of the hub's own that are not in use. */
  #offer() {
    const names = this.#names();
    const known = /** @type {HTMLElement[]} */ ([...this.#form.querySelectorAll("[data-known-name]")]);
    for (const button of known) button.hidden = names.includes(button.dataset.knownName ?? "");
    const place = this.#form.querySelector("[data-known]");
    if (place instanceof HTMLElement) place.hidden = known.every(({ hidden }) => hidden);
    for (const place of /** @type {NodeListOf<HTMLElement>} */ (this.#form.querySelectorAll("[data-insert]"))) {
      if (place.dataset.names === names.join()) continue;
      place.dataset.names = names.join();
      place.replaceChildren(
        ...names.map((name) => el("button", { "type": "button", "class": "insert-chip", "dir": "ltr", "data-name": name, "text": name })),
      );
      if (names.length > 0) reveal(place);
      else place.setAttribute("hidden", "");
    }
  }

  #clicked(event) {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button?.dataset.name) this.#insert(button.closest("[data-side]"), button.dataset.name);
    else if (button?.matches("[data-add]")) {
      event.preventDefault();
      this.#add();
    } else if (button?.dataset.knownName) this.#add(button.dataset);
    else if (button?.matches("[data-remove]")) this.#remove(button.closest("[data-variable]"));
  }

  /** One more row: an empty one to be written, or one of the hub's own variables. */
  #add(known = /** @type {DOMStringMap|null} */ (null)) {
    this.#variables.append(this.#blank.content.cloneNode(true));
    const fields = /** @type {NodeListOf<HTMLInputElement>} */ (this.#variables.querySelectorAll("[data-variable]:last-child [name]"));
    if (known) [known.knownName, known.type, known.privacy, known.example].forEach((value, at) => (fields[at].value = value ?? ""));
    else fields[0].focus();
    this.#renew();
    if (known) this.#changed();
  }

  #remove(row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    (next?.querySelector("input") ?? this.#form.querySelector("[data-add]"))?.focus();
    this.#changed();
  }

  #remember(target) {
    if (target instanceof HTMLElement && target.matches("[data-wording]")) {
      this.#last = /** @type {HTMLTextAreaElement} */ (target);
    }
  }

  /** Where the caret is, or was, in this language; else at the end of its text. */
  #insert(side, name) {
    const field = side.contains(this.#last) ? this.#last : side.querySelector("textarea");
    field.focus();
    const written = side.dataset.side === "ar" ? `\u2066{ $${name} }\u2069` : `{ $${name} }`;
    // The command, unlike a new value, can be undone with the keyboard.
    if (!document.execCommand("insertText", false, written)) {
      field.setRangeText(written, field.selectionStart, field.selectionEnd, "end");
      this.#changed();
    }
  }

  #key(event) {
    if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    this.#form.requestSubmit(this.#form.querySelector("[data-save]"));
  }
}

/** A mail is as tall as it is: nobody scrolls in a box in a page. */
function frames() {
  for (const frame of /** @type {NodeListOf<HTMLIFrameElement>} */ (document.querySelectorAll("[data-mail]"))) {
    const fit = () => {
      const root = frame.contentDocument?.documentElement;
      if (root) frame.style.blockSize = `${root.offsetHeight}px`;
    };
    if (!frame.dataset.fitted) frame.addEventListener("load", fit);
    frame.dataset.fitted = "yes";
    fit();
  }
}

const form = /** @type {HTMLFormElement|null} */ (document.querySelector("[data-editor]"));
if (form) new Editor(form);
frames();
