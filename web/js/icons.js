/**
 * The few icons of the client, as lines on a 24 by 24 grid.
 *
 * @module icons
 */

const SVG = "http://www.w3.org/2000/svg";
const RING = "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z";
const SHEET = "M6 3h8.5L19 7.5V21H6z";

/** @type {Record<string, string[]>} */
const LINES = {
  bell: ["M6.2 9.8a5.8 5.8 0 0 1 11.6 0c0 4.9 1.7 6.2 1.7 6.2h-15s1.7-1.3 1.7-6.2", "M10 19.5a2.2 2.2 0 0 0 4 0"],
  check: ["M5 12.5l4.6 4.6L19 7.4"],
  checks: ["M2.5 13l4 4 8.6-9", "M11.4 16.4l.9.9L21.5 8"],
  mail: ["M4 6h16v12.5H4z", "M4.4 6.6L12 12.9l7.6-6.3"],
  archive: ["M3.5 4.5h17v4h-17z", "M5 8.5v11h14v-11", "M10 12.5h4"],
  cross: ["M6.5 6.5l11 11", "M17.5 6.5l-11 11"],
  info: [RING, "M12 11v5", "M12 7.9v.1"],
  success: [RING, "M8 12.4l2.7 2.7L16 9.6"],
  warning: ["M12 4l9 15.5H3z", "M12 10v4.4", "M12 17v.1"],
  error: ["M8.3 3h7.4L21 8.3v7.4L15.7 21H8.3L3 15.7V8.3z", "M12 8v4.8", "M12 16v.1"],
  clock: [RING, "M12 7.4V12l3.2 2"],
  signed: [SHEET, "M9.3 14l2.2 2.2 4-4.2"],
  missing: [SHEET, "M10 12l5 5", "M15 12l-5 5"],
  expired: [SHEET, "M12.5 11v4", "M12.5 17.6v.1"],
  live: ["M12 9.4a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 0 0 0-5.2z", "M7 17a7 7 0 0 1 0-10", "M17 7a7 7 0 0 1 0 10"],
  "catching-up": ["M20 12a8 8 0 1 1-2.4-5.7", "M20.2 3.4v4.4h-4.4"],
  offline: [RING, "M5.7 5.7l12.6 12.6"],
  "sound-on": ["M4 9.6v4.8h3.4L12 18V6L7.4 9.6z", "M15.4 9.2a4 4 0 0 1 0 5.6", "M18 6.6a7.6 7.6 0 0 1 0 10.8"],
  "sound-off": ["M4 9.6v4.8h3.4L12 18V6L7.4 9.6z", "M16 9.6l4.8 4.8", "M20.8 9.6L16 14.4"],
  keyboard: ["M3 6.5h18v11H3z", "M7 10.2v.1", "M10.3 10.2v.1", "M13.7 10.2v.1", "M17 10.2v.1", "M8.5 14h7"],
  undo: ["M8.6 6.5L4.2 11l4.4 4.5", "M4.6 11H15a4.6 4.6 0 0 1 0 9.2h-3"],
  onward: ["M5 12h13.5", "M13 6.5l5.5 5.5-5.5 5.5"],
};

const MIRRORED = new Set(["undo", "onward"]);

/**
 * @param {string} name @param {string} [classes]
 * @returns {SVGElement} decoration only: a word always stands beside it
 */
export function icon(name, classes = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon ${classes} ${MIRRORED.has(name) ? "mirrors" : ""}`.trim());
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("fill", "none");
  svg.setAttribute("stroke", "currentColor");
  svg.setAttribute("stroke-width", "1.75");
  svg.setAttribute("stroke-linecap", "round");
  svg.setAttribute("stroke-linejoin", "round");
  for (const line of LINES[name] ?? []) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", line);
    svg.append(path);
  }
  return svg;
}
