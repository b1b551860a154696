/**
 * The entry of every signed-in page: the bell, the board where there is one, the session, and small comforts.
 *
 * @module shell
 */
import "./bell.js";
import { Board } from "./board.js";
import { connection } from "./connection.js";
import { reveal } from "./element.js";
import { History } from "./history.js";
import { keyOf } from "./keys.js";
import { keepLiveMarks } from "./live-mark.js";
import { Session } from "./session.js";
import { VisitForms } from "./visit-forms.js";
import { pageWords } from "./words.js";

const words = pageWords();
const idle = Number(document.querySelector("[data-idle-seconds]")?.getAttribute("data-idle-seconds") ?? 0);
const board = /** @type {HTMLElement|null} */ (document.querySelector("[data-board]"));
const history = /** @type {HTMLElement|null} */ (document.querySelector("[data-history]"));
const live = connection({ user: document.body.dataset.user ?? "" });

keepLiveMarks(live, words);
if (board) new Board(board, live, words);
if (!board && document.querySelector("[data-visit-form]")) new VisitForms(null, words);
if (history) new History(history, live, words);
if (idle > 0) new Session(idle, words);
menus();
forms();
selection();
buttons();

/** Menus made of `<details>` close when one looks elsewhere. */
function menus() {
  const open = () => /** @type {HTMLDetailsElement[]} */ ([...document.querySelectorAll("details[data-menu][open]")]);
  document.addEventListener("pointerdown", ({ target }) => {
    for (const menu of open()) if (!menu.contains(/** @type {Node} */ (target))) menu.open = false;
  });
  document.addEventListener("focusin", ({ target }) => {
    for (const menu of open()) if (!menu.contains(/** @type {Node} */ (target))) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (keyOf(event) !== "Escape") return;
    for (const menu of open()) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  });
}

function forms() {
  document.addEventListener("change", ({ target }) => {
    const form = target instanceof Element ? target.closest("form[data-auto-submit]") : null;
    if (form instanceof HTMLFormElement) form.requestSubmit();
  });
}

/** "Select all" follows its rows, and its rows follow it. */
function selection() {
  const all = /** @type {HTMLInputElement|null} */ (document.querySelector("[data-select-all]"));
  if (!all) return;
  const boxes = () => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll("input[type=checkbox][name=ids]")]);
  const paint = () => {
    const chosen = boxes().filter((box) => box.checked).length;
    all.checked = chosen > 0 && chosen === boxes().length;
    all.indeterminate = chosen > 0 && !all.checked;
  };
  document.addEventListener("change", ({ target }) => {
    if (target === all) for (const box of boxes()) box.checked = all.checked;
    paint();
  });
  reveal(all);
  reveal(all.closest("[data-select-all-box]"));
  paint();
}

/** Buttons that do nothing without a script are there only with one. */
function buttons() {
  for (const button of document.querySelectorAll("[data-print]")) {
    button.addEventListener("click", () => globalThis.print());
    reveal(button);
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    const from = document.querySelector(button.getAttribute("data-copy") ?? "");
    if (!from || !navigator.clipboard) continue;
    button.addEventListener("click", () => navigator.clipboard.writeText(from.textContent?.trim() ?? ""));
    reveal(button);
  }
  for (const part of document.querySelectorAll("[data-needs-js]")) reveal(part);
}
