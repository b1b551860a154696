/**
 * Making elements: a tag, its properties, its children. Text goes in as text, never as markup.
 *
 * @module element
 */

/**
 * @param {string} tag
 * @param {Record<string, any>} [props] `on` holds listeners, `text` the text; all others are attributes
 * @param {(Node|string)[]} children
 * @returns {any} the element
 */
export function el(tag, { on = {}, text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) put(element, name, value);
  for (const [type, listener] of Object.entries(on)) element.addEventListener(type, listener);
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

/**
 * Set an attribute, or take it away for false, null and undefined.
 * @param {Element} element @param {string} name @param {any} value
 */
export function put(element, name, value) {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value === true ? "" : value)) {
    element.setAttribute(name, value === true ? "" : value);
  }
}

/** Show what is of use only with a script; a newer version of the page does not hide it again. @param {Element|null|undefined} element */
export function reveal(element) {
  element?.setAttribute("data-revealed", "");
  element?.removeAttribute("hidden");
}

/** Set the text, only where it is another one. @param {Element} element @param {string} text */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
