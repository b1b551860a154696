/**
 * Which key was meant, on a Latin and on an Arabic keyboard alike.
 *
 * @module keys
 */

const SIGNS = /** @type {Record<string, string>} */ ({ "؟": "?" });

/**
 * @param {KeyboardEvent} event
 * @returns {string|null} a small Latin letter, a sign, or a named key; null with Ctrl, Alt or Meta
 */
export function keyOf(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return null;
  const { key, code } = event;
  if (SIGNS[key]) return SIGNS[key];
  if (key.length > 1) return key;
  if (key.charCodeAt(0) < 128) return key.toLowerCase();
  if (code === "Slash") return event.shiftKey ? "?" : "/";
  return code.startsWith("Key") ? code.slice(3).toLowerCase() : key;
}

/** @param {EventTarget|undefined} target @returns {boolean} whether keys pressed there write something */
export function isWriting(target) {
  if (!(target instanceof Element)) return false;
  const where = target.closest("input, textarea, select, [contenteditable]");
  return where !== null && !["checkbox", "radio", "button", "submit"].includes(where.getAttribute("type") ?? "");
}
