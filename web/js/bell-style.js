/**
 * How the bell looks. Each colour is the page's `--hub-<name>`; else, on the hub's own pages, the house's token of that
 * name; else this one. Besides these, a page may set `--hub-font` and `--hub-size` (of 1 rem in here).
 *
 * @module bell-style
 */

const COLOURS = {
  raised: "light-dark(oklch(1 0 0), oklch(0.243 0.015 275))",
  hover: "light-dark(oklch(0.955 0.006 275), oklch(0.285 0.016 275))",
  line: "light-dark(oklch(0.912 0.007 275), oklch(0.322 0.016 275))",
  edge: "light-dark(oklch(0.62 0.018 275), oklch(0.575 0.02 275))",
  ink: "light-dark(oklch(0.225 0.022 275), oklch(0.945 0.006 275))",
  "ink-soft": "light-dark(oklch(0.47 0.022 275), oklch(0.755 0.014 275))",
  accent: "light-dark(oklch(0.5 0.185 274), oklch(0.56 0.185 274))",
  "on-accent": "oklch(1 0 0)",
  "accent-ink": "light-dark(oklch(0.46 0.185 274), oklch(0.78 0.11 278))",
  "accent-soft": "light-dark(oklch(0.955 0.018 274), oklch(0.285 0.065 274))",
  ok: "light-dark(oklch(0.455 0.105 155), oklch(0.81 0.13 158))",
  "ok-soft": "light-dark(oklch(0.958 0.034 158), oklch(0.275 0.045 160))",
  warn: "light-dark(oklch(0.475 0.105 68), oklch(0.835 0.125 78))",
  "warn-soft": "light-dark(oklch(0.962 0.042 82), oklch(0.29 0.048 72))",
  bad: "light-dark(oklch(0.5 0.185 25), oklch(0.775 0.125 22))",
  "bad-soft": "light-dark(oklch(0.958 0.022 20), oklch(0.285 0.065 22))",
  info: "light-dark(oklch(0.475 0.11 240), oklch(0.8 0.095 235))",
  "info-soft": "light-dark(oklch(0.957 0.022 238), oklch(0.278 0.045 240))",
  "bad-fill": "light-dark(oklch(0.53 0.195 25), oklch(0.53 0.185 25))",
  "on-bad": "oklch(1 0 0)",
  focus: "light-dark(oklch(0.54 0.2 274), oklch(0.76 0.13 274))",
  veil: "light-dark(oklch(0.22 0.03 275 / 0.42), oklch(0.08 0.01 275 / 0.62))",
};
const SHADOW = "0 12px 36px oklch(0 0 0 / 0.25)";

/** @param {boolean} home on another application's page, its own custom properties and sizes mean nothing here */
function tokens(home) {
  const own = (name, colour) => (home ? `var(--${name}, ${colour})` : colour);
  const colours = Object.entries(COLOURS).map(([name, colour]) => `--_${name}: var(--hub-${name}, ${own(name, colour)});`);
  return `:host {
  ${colours.join("\n  ")}
  --_shadow: var(--hub-shadow, ${own("shadow-high", SHADOW)});
  --_motion: ${own("motion", "150ms")};
  --_rem: ${home ? "1rem" : "var(--hub-size, 16px)"};
}`;
}

const RULES = `
:host { display: inline-block; }
:host([hidden]) { display: none; }
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
.root {
  all: initial; display: block; color-scheme: inherit; color: var(--_ink); font-family: var(--hub-font, inherit); font-size: calc(0.875 * var(--_rem)); line-height: 1.45;
}
*, *::before, *::after { box-sizing: border-box; }
button, a { font: inherit; color: inherit; -webkit-tap-highlight-color: transparent; }
button { border: 0; background: none; padding: 0; margin: 0; cursor: pointer; }
h2, p, ul, dl, dd { margin: 0; padding: 0; }
ul { list-style: none; }
[hidden] { display: none !important; }
.hidden { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.icon { inline-size: 1.15em; block-size: 1.15em; flex: none; }
.mirrors:dir(rtl) { transform: scaleX(-1); }
:focus-visible { outline: 2px solid var(--_focus); outline-offset: 1px; }

/* The button */
.bell {
  position: relative; display: grid; place-items: center; inline-size: 40px; block-size: 40px;
  border-radius: 6px; transition: background-color var(--_motion);
}
.bell:hover, .bell[aria-expanded="true"] { background: var(--_hover); }
.bell .icon { inline-size: 20px; block-size: 20px; }
.badge {
  position: absolute; inset-block-start: 1px; inset-inline-start: 53%; min-inline-size: 18px; block-size: 18px;
  padding-inline: 5px; display: grid; place-items: center; border-radius: 999px; border: 1px solid transparent;
  background: var(--_bad-fill); color: var(--_on-bad); font-size: calc(0.6875 * var(--_rem)); font-weight: 650; line-height: 1;
  font-variant-numeric: tabular-nums; transition: opacity var(--_motion);
}
.bell[data-status] .badge { background: var(--_raised); color: var(--_ink-soft); border: 1px dashed var(--_edge); }
.mark {
  position: absolute; inset-block-end: 2px; inset-inline-start: 2px; inline-size: 15px; block-size: 15px; display: grid; place-items: center;
  border-radius: 50%; background: var(--_raised); box-shadow: 0 0 0 1px var(--_line); color: var(--_warn);
}
.mark .icon { inline-size: 12px; block-size: 12px; stroke-width: 2.5; }
.bell[data-status="offline"] .mark { color: var(--_bad); }
.bell.rung > .icon { animation: ring 600ms ease-out; transform-origin: 50% 15%; }
@keyframes ring { 20% { rotate: 12deg; } 45% { rotate: -9deg; } 70% { rotate: 5deg; } }

/* The panel */
.panel {
  position: fixed; inset: auto; inset-block-start: var(--at-block, 60px); inset-inline-end: var(--at-inline, 8px);
  margin: 0; padding: 0; inline-size: min(416px, calc(100vi - 16px)); max-block-size: min(640px, calc(100dvh - var(--at-block, 60px) - 12px));
  flex-direction: column; overflow: hidden; border: 1px solid var(--_line); border-radius: 10px;
  background: var(--_raised); color: var(--_ink); box-shadow: var(--_shadow); text-align: start;
}
.panel:popover-open { display: flex; animation: appear var(--_motion) cubic-bezier(0.2, 0, 0, 1); }
@keyframes appear { from { opacity: 0; translate: 0 -4px; } }
.head { position: relative; display: flex; align-items: center; gap: 8px; padding-block: 12px 10px; padding-inline: 16px 8px; border-block-end: 1px solid var(--_line); }
.heading { flex: 1; min-inline-size: 0; display: grid; gap: 1px; }
h2 { font-size: calc(0.9375 * var(--_rem)); font-weight: 600; line-height: 1.35; letter-spacing: -0.005em; }
:host(:lang(ar)) h2, [lang="ar"] h2 { letter-spacing: 0; }
.state { display: flex; flex-wrap: wrap; align-items: center; gap: 0 6px; font-size: calc(0.75 * var(--_rem)); color: var(--_ink-soft); font-variant-numeric: tabular-nums; }
.status { display: inline-flex; align-items: center; gap: 4px; }
.status .icon { inline-size: 13px; block-size: 13px; stroke-width: 2; }
.status[data-status="live"] { color: var(--_ok); }
.status[data-status="catching-up"] { color: var(--_warn); }
.status[data-status="catching-up"] .icon { animation: turn 1.4s linear infinite; }
@keyframes turn { to { rotate: 1turn; } }
.status[data-status="offline"] { color: var(--_bad); font-weight: 500; }
.sum::before { content: "·"; margin-inline-end: 6px; }
.plain {
  display: inline-flex; align-items: center; gap: 6px; min-block-size: 32px; padding-inline: 8px; border-radius: 6px;
  color: var(--_ink-soft); font-size: calc(0.8125 * var(--_rem)); white-space: nowrap; text-decoration: none; transition: background-color var(--_motion), color var(--_motion);
}
.plain:hover { background: var(--_hover); color: var(--_ink); }
.plain[disabled] { opacity: 0.45; cursor: default; background: none; color: var(--_ink-soft); }
.plain.strong { color: var(--_accent-ink); font-weight: 500; }
.close { display: none; }

/* The list */
.scroll { flex: 1 1 auto; min-block-size: 64px; overflow-y: auto; overscroll-behavior: contain; scrollbar-width: thin; }
.pill {
  position: absolute; inset-block-end: -14px; inset-inline: 0; z-index: 1; inline-size: fit-content; block-size: 26px; margin-inline: auto;
  padding-inline: 12px; border-radius: 999px; background: var(--_accent); color: var(--_on-accent); font-size: calc(0.75 * var(--_rem)); font-weight: 550;
  white-space: nowrap; box-shadow: 0 1px 4px oklch(0 0 0 / 0.25);
}
.row { position: relative; display: flex; border-block-end: 1px solid var(--_line); }
.row:last-child { border-block-end: 0; }
.row:hover, .row:focus-within { background: var(--_hover); }
.open { flex: 1; min-inline-size: 0; display: flex; gap: 12px; padding-block: 11px 12px; padding-inline: 16px; text-decoration: none; outline-offset: -2px; }
.glyph { position: relative; flex: none; display: grid; place-items: center; inline-size: 28px; block-size: 28px; border-radius: 8px; background: var(--_hover); color: var(--_ink-soft); }
.glyph .icon { inline-size: 17px; block-size: 17px; }
.row[data-level="info"] .glyph { background: var(--_info-soft); color: var(--_info); }
.row[data-level="success"] .glyph { background: var(--_ok-soft); color: var(--_ok); }
.row[data-level="warning"] .glyph { background: var(--_warn-soft); color: var(--_warn); }
.row[data-level="error"] .glyph { background: var(--_bad-soft); color: var(--_bad); }
.text { flex: 1; min-inline-size: 0; display: grid; gap: 2px; align-content: start; }
.line { display: flex; gap: 8px; align-items: baseline; }
.what { flex: 1; min-inline-size: 0; overflow-wrap: anywhere; }
.title { color: var(--_ink-soft); }
.row[data-unread] .title { color: var(--_ink); font-weight: 600; }
.when { flex: none; font-size: calc(0.75 * var(--_rem)); color: var(--_ink-soft); font-variant-numeric: tabular-nums; }
.row[data-unread] .when { padding-inline-end: 16px; }
.row[data-unread] .open::after {
  content: ""; position: absolute; inset-block-start: 17px; inset-inline-end: 16px; inline-size: 8px; block-size: 8px; border-radius: 50%; background: var(--_accent);
}
.body {
  color: var(--_ink-soft); font-size: calc(0.8125 * var(--_rem)); overflow: hidden; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2;
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums;
}
.level { font-weight: 500; }
.row[data-level="warning"] .level { color: var(--_warn); }
.row[data-level="error"] .level { color: var(--_bad); }
.row[data-level="success"] .level { color: var(--_ok); }
.facts { display: flex; flex-wrap: wrap; gap: 4px 6px; padding-block-start: 2px; }
.facts:empty { display: none; }
.chip { display: inline-flex; align-items: center; gap: 4px; padding-block: 1px; padding-inline: 6px 8px; border-radius: 999px; font-size: calc(0.75 * var(--_rem)); font-weight: 500; line-height: 1.6; white-space: nowrap; }
.chip .icon { inline-size: 13px; block-size: 13px; stroke-width: 2; }
.chip[data-hue="ok"] { background: var(--_ok-soft); color: var(--_ok); }
.chip[data-hue="warn"] { background: var(--_warn-soft); color: var(--_warn); }
.chip[data-hue="bad"] { background: var(--_bad-soft); color: var(--_bad); }
.acts {
  position: absolute; inset-block-end: 6px; inset-inline-end: 10px; display: flex; gap: 1px; padding: 1px; border-radius: 8px; background: var(--_raised);
  box-shadow: 0 0 0 1px var(--_line), 0 1px 2px oklch(0 0 0 / 0.1); opacity: 0; transition: opacity var(--_motion);
}
.row:hover .acts, .row:focus-within .acts { opacity: 1; }
.act { display: grid; place-items: center; inline-size: 30px; block-size: 28px; border-radius: 6px; color: var(--_ink-soft); }
.act:hover { background: var(--_hover); color: var(--_ink); }
.act .icon { inline-size: 17px; block-size: 17px; }

/* Nothing, loading, failed */
.note { display: grid; justify-items: center; gap: 4px; padding: 40px 24px 44px; text-align: center; color: var(--_ink-soft); font-size: calc(0.8125 * var(--_rem)); }
.note .icon { inline-size: 28px; block-size: 28px; margin-block-end: 6px; stroke-width: 1.4; }
.note strong { color: var(--_ink); font-size: calc(0.875 * var(--_rem)); font-weight: 600; }
.note .plain { margin-block-start: 8px; }
.bones { padding: 14px 16px; display: grid; gap: 18px; animation: late 300ms step-end backwards; }
.bones i { block-size: 34px; border-radius: 6px; background: var(--_hover); }
@keyframes late { from { opacity: 0; } }

/* What was done, and the way back */
.done { display: flex; align-items: center; gap: 8px; padding-block: 6px; padding-inline: 16px 8px; border-block-start: 1px solid var(--_line); background: var(--_accent-soft); font-size: calc(0.8125 * var(--_rem)); }
.done span { flex: 1; min-inline-size: 0; overflow-wrap: anywhere; }
.done[data-failed] { background: var(--_bad-soft); color: var(--_bad); }

.keys { flex: 0 1 auto; min-block-size: 96px; overflow-y: auto; padding: 12px 16px; border-block-start: 1px solid var(--_line); font-size: calc(0.8125 * var(--_rem)); }
.keys h3 { margin: 0 0 8px; font-size: calc(0.75 * var(--_rem)); font-weight: 600; color: var(--_ink-soft); }
.keys dl { display: grid; grid-template-columns: auto 1fr; gap: 6px 14px; align-items: center; }
.keys dt { display: flex; gap: 4px; direction: ltr; justify-content: flex-start; }
.keys dt:dir(rtl) { justify-content: flex-end; }
kbd { display: inline-grid; place-items: center; min-inline-size: 22px; block-size: 22px; padding-inline: 5px; border: 1px solid var(--_line); border-block-end-width: 2px; border-radius: 5px; font: inherit; font-size: calc(0.75 * var(--_rem)); color: var(--_ink-soft); background: var(--_hover); }

.foot { display: flex; align-items: center; gap: 2px; padding: 6px 8px; border-block-start: 1px solid var(--_line); }
.foot .space { flex: 1; }
.foot .plain .icon { inline-size: 16px; block-size: 16px; }
.square { inline-size: 32px; padding: 0; justify-content: center; }

/* Toasts, where the page has no place for them: in the top layer, whatever the page does */
.toasts { position: fixed; inset: auto; inset-block-end: 16px; inset-inline-end: 16px; margin: 0; padding: 0; border: 0; background: none; overflow: visible; color: inherit; gap: 8px; inline-size: min(360px, calc(100vi - 32px)); pointer-events: none; }
.toasts:popover-open { display: grid; }
.toast { display: flex; gap: 10px; align-items: flex-start; padding: 12px 16px; border: 1px solid var(--_line); border-inline-start: 4px solid var(--_info); border-radius: 6px; background: var(--_raised); box-shadow: var(--_shadow); pointer-events: auto; cursor: pointer; }
.toast .icon { inline-size: 18px; block-size: 18px; margin-block-start: 1px; color: var(--_info); }
.toast[data-level="success"] { border-inline-start-color: var(--_ok); }
.toast[data-level="success"] .icon { color: var(--_ok); }
.toast[data-level="warning"] { border-inline-start-color: var(--_warn); }
.toast[data-level="warning"] .icon { color: var(--_warn); }
.toast[data-level="error"] { border-inline-start-color: var(--_bad); }
.toast[data-level="error"] .icon { color: var(--_bad); }
.toast-title { font-weight: 600; }
.toast-text { color: var(--_ink-soft); font-size: calc(0.8125 * var(--_rem)); }

@media (hover: none), (pointer: coarse) {
  .bell { inline-size: 44px; block-size: 44px; }
  .acts { position: static; flex-direction: column; justify-content: center; opacity: 1; background: none; box-shadow: none; padding-inline-end: 8px; gap: 4px; }
  .act { inline-size: 44px; block-size: 44px; }
  .plain { min-block-size: 44px; }
  .open { padding-inline-end: 4px; }
  .row[data-unread] .open::after { inset-inline-start: 40px; inset-inline-end: auto; inset-block-start: 9px; box-shadow: 0 0 0 2px var(--_raised); }
  .row[data-unread] .when { padding-inline-end: 0; }
  .keyboard { display: none; }
}
@media (width <= 480px) {
  .panel {
    inset: auto 0 0; inline-size: 100%; max-inline-size: none; block-size: auto; min-block-size: min(420px, 80dvh); max-block-size: calc(100dvh - 40px);
    border-inline: 0; border-block-end: 0; border-end-start-radius: 0; border-end-end-radius: 0; border-start-start-radius: 16px; border-start-end-radius: 16px;
    padding-block-end: env(safe-area-inset-bottom);
  }
  .panel::backdrop { background: var(--_veil); }
  .close { display: inline-flex; }
  .sum::before { content: none; }
  @keyframes appear { from { opacity: 0; translate: 0 24px; } }
}
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation: none !important; transition: none !important; }
}
@media (forced-colors: active) {
  .badge, .mark, .chip, .glyph, .acts, .pill { border: 1px solid CanvasText; }
  .row[data-unread] .open::after { forced-color-adjust: none; background: Highlight; }
}
@media print { :host { display: none; } }
`;

const sheets = /** @type {Map<boolean, CSSStyleSheet>} */ (new Map());

/** @param {boolean} home whether this is a page of the hub's own @returns {CSSStyleSheet} the same for every bell */
export function bellStyle(home) {
  const sheet = sheets.get(home) ?? new CSSStyleSheet();
  if (!sheets.has(home)) sheet.replaceSync(tokens(home) + RULES);
  sheets.set(home, sheet);
  return sheet;
}
