/**
 * Make one piece of the page like a newer one, and leave every element that is the same where it stands:
 * focus, selection, scroll, an open list and what somebody is typing survive.
 *
 * @module morph
 */

/** An element that the page itself put there; no newer piece has it, and none takes it away. */
export const LOCAL = "data-local";

/**
 * @param {Element} old stays in the page
 * @param {Element} next is taken apart
 * @param {(old: Element) => boolean} keep says which elements are not to be touched now
 */
export function morph(old, next, keep = () => false) {
  if (keep(old)) return;
  attributes(old, next);
  children(old, next, keep);
}

function attributes(old, next) {
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !own(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value && !own(old, name)) old.setAttribute(name, value);
  }
}

/** What the browser or the person, not the server, decides about an element. */
function own(element, name) {
  if (name === "hidden" || name === "data-revealed") return element.hasAttribute("data-revealed");
  return name === "tabindex" || (name === "open" && element instanceof HTMLDetailsElement);
}

function children(old, next, keep) {
  const staying = new Set([...next.children].map(({ id }) => id));
  for (const child of [...old.children]) if (child.id && !staying.has(child.id)) child.remove();
  const named = new Map([...old.children].filter(({ id }) => id).map((child) => [child.id, child]));
  let place = servers(old.firstChild);
  for (const fresh of [...next.childNodes]) {
    const found = match(place, fresh, named);
    if (found === null) {
      old.insertBefore(fresh, place);
      continue;
    }
    if (found === place) place = servers(place.nextSibling);
    else move(old, found, place);
    if (found instanceof Element) morph(found, /** @type {Element} */ (fresh), keep);
    else if (found.nodeValue !== fresh.nodeValue) found.nodeValue = fresh.nodeValue;
  }
  while (place !== null) {
    const gone = place;
    place = servers(place.nextSibling);
    gone.remove();
  }
}

/** This node, or the first one after it that came from the server. */
function servers(node) {
  let at = node;
  while (at instanceof Element && at.hasAttribute(LOCAL)) at = at.nextSibling;
  return at;
}

/** The one with the same id, wherever it stands; else what stands here, when it is of the same kind. */
function match(place, fresh, named) {
  const id = fresh instanceof Element ? fresh.id : "";
  const found = id ? named.get(id) : place;
  if (!found || found.nodeName !== fresh.nodeName) return null;
  return id || !(found instanceof Element && found.id) ? found : null;
}

/** A node that is moved, not taken out and put back, keeps its focus; not every browser can. */
function move(parent, node, place) {
  if (parent.moveBefore) parent.moveBefore(node, place);
  else parent.insertBefore(node, place);
}
