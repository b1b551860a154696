/**
 * The sound of the bell: two soft tones, made here, off until somebody asks for it.
 *
 * @module chime
 */

const KEPT = "hub:sound";
const TONES = [
  { hertz: 1046.5, at: 0, length: 0.9 },
  { hertz: 784, at: 0.16, length: 1.2 },
];
const LOUDNESS = 0.16;
const APART_MS = 1_500;

export class Chime {
  #context = /** @type {AudioContext|null} */ (null);
  #rang = 0;

  constructor() {
    // A browser plays nothing before a gesture on this page: take the first one.
    const wake = () => this.on && this.#ready();
    globalThis.addEventListener("pointerdown", wake, { once: true, passive: true });
    globalThis.addEventListener("keydown", wake, { once: true, passive: true });
  }

  /** @returns {boolean} */
  get on() {
    try {
      return localStorage.getItem(KEPT) === "1";
    } catch {
      return false;
    }
  }

  /** @param {boolean} on */
  set on(on) {
    try {
      localStorage.setItem(KEPT, on ? "1" : "0");
    } catch {
      // without storage the choice lasts no longer than the page
    }
    if (on) this.#ready();
  }

  /** Ring for news, unless it just rang. */
  ring() {
    if (this.on && Date.now() - this.#rang >= APART_MS) this.play();
  }

  /** Ring now. */
  play() {
    this.#rang = Date.now();
    const context = this.#ready();
    for (const { hertz, at, length } of TONES) {
      const start = context.currentTime + at;
      const tone = new OscillatorNode(context, { type: "sine", frequency: hertz });
      const gain = new GainNode(context, { gain: 0 });
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(LOUDNESS, start + 0.012);
      gain.gain.exponentialRampToValueAtTime(0.0001, start + length);
      tone.connect(gain).connect(context.destination);
      tone.start(start);
      tone.stop(start + length);
    }
  }

  #ready() {
    this.#context ??= new AudioContext();
    if (this.#context.state === "suspended") this.#context.resume();
    return this.#context;
  }
}
