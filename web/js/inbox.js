/**
 * One person's inbox, decided from frames alone: no DOM, no socket, no clock.
 *
 * Feed every frame to `apply`; the answer says what to ask, what changed and what is new. The cursor
 * only ever moves over numbers of which everything is known. Rows are replaced, never edited in place.
 *
 * @module inbox
 */

/**
 * @typedef {object} Row
 * @property {string} id
 * @property {number} number place in the list, newest highest, never changes
 * @property {number} seq number of the last change
 * @property {string} title
 * @property {string} body
 * @property {string} kind
 * @property {"info"|"success"|"warning"|"error"} level
 * @property {"critical"|"high"|"medium"|"low"} priority
 * @property {{type: string, id: string, link: string}|null} related
 * @property {Record<string, string>} facts
 * @property {string|null} read_at
 * @property {string|null} archived_at
 * @property {string} created_at
 * @property {string} updated_at
 */

/** @typedef {{epoch: string, seq: number, top: number}} Cursor `top` is the highest row number seen */
/** @typedef {{upto: number, seq: number, at: string}} Sweep everything unread with a number up to this one was read */

/**
 * @typedef {object} Effects
 * @property {number|null} ask send `fill` from this number
 * @property {Row[]} changed rows that are not as they were
 * @property {Row[]} added rows to tell the person about, each once: unread, never seen before, newer than any other;
 *   a critical one may come ahead of its place, and is then told before it is in the list
 * @property {boolean} moved the cursor is another one: keep it
 * @property {boolean} reset everything known before was forgotten
 */

/** Frames held over a gap. What does not fit is fetched by the fill that is under way anyway. */
const HELD_AT_MOST = 200;
const SWEEPS_AT_MOST = 50;

export class Inbox {
  #epoch = /** @type {string|null} */ (null);
  #seq = /** @type {number|null} */ (null);
  #top = /** @type {number|null} */ (null);
  #rows = /** @type {Map<string, Row>} */ (new Map());
  #held = /** @type {Map<number, any>} */ (new Map());
  #sweeps = /** @type {Sweep[]} */ ([]);
  #ahead = /** @type {Set<string>} */ (new Set());
  #floor = 0;
  #head = 0;
  #waiting = false;
  #whole = false;
  #unread = 0;
  #unreadAt = -1;

  /** @param {Cursor|null} [cursor] where an earlier page of this person stopped */
  constructor(cursor = null) {
    if (cursor === null) return;
    this.#epoch = cursor.epoch;
    this.#seq = cursor.seq;
    this.#top = cursor.top ?? null;
  }

  /** @returns {Cursor|null} */
  get cursor() {
    return this.#epoch === null || this.#seq === null
      ? null
      : { epoch: this.#epoch, seq: this.#seq, top: this.#top ?? 0 };
  }

  /** @returns {number} unread notifications, by the newest word of the server */
  get unread() {
    return this.#unread;
  }

  /** @returns {boolean} whether the server has said anything of that number yet */
  get counted() {
    return this.#unreadAt >= 0;
  }

  /** @returns {boolean} whether an answer (fill or snap) is awaited */
  get waiting() {
    return this.#waiting;
  }

  /** @returns {boolean} whether something is known to be missing */
  get behind() {
    return this.#seq === null || this.#held.size > 0 || this.#head > this.#seq;
  }

  /** @returns {boolean} whether the newest rows are all here, by a snap */
  get whole() {
    return this.#whole;
  }

  /** @returns {Row[]} every known row, newest first, archived ones too */
  get rows() {
    return [...this.#rows.values()].sort((a, b) => b.number - a.number);
  }

  /** @param {string} id @returns {Row|undefined} */
  row(id) {
    return this.#rows.get(id);
  }

  /**
   * @param {any} frame one frame of hub.v1 from the server; those of no concern here change nothing
   * @returns {Effects}
   */
  apply(frame) {
    const effects = nothing();
    switch (frame.t) {
      case "welcome":
        this.#welcome(frame);
        break;
      case "snap":
        this.#snap(frame, effects);
        break;
      case "fill":
        this.#fill(frame, effects);
        break;
      case "ev":
        this.#event(frame, effects);
        break;
      case "ahead":
        this.#hurry(frame, effects);
        break;
      case "hb":
        this.#head = Math.max(this.#head, frame.head);
        this.#count(frame.unread, frame.head);
        this.#settle(effects, false);
        break;
      case "resync":
        this.#ask(effects);
        break;
      default:
    }
    return effects;
  }

  /** The awaited answer did not come in time: ask again. @returns {Effects} */
  overdue() {
    const effects = nothing();
    if (this.#waiting) this.#ask(effects);
    return effects;
  }

  /**
   * Rows that came by another way than the socket. They never move the cursor.
   * @param {Row[]} items
   * @param {number} asOf the head when they were read
   * @param {number} unread the count when they were read
   * @returns {Effects|null} null when they are older than what is known: fetch again
   */
  merge(items, asOf, unread) {
    if (asOf < this.#floor) return null;
    const effects = nothing();
    for (const item of items) {
      const held = this.#rows.get(item.id);
      if (!held || held.seq < item.seq) this.#put(this.#sweeps.reduce(swept, item), effects);
    }
    this.#count(unread, asOf);
    return effects;
  }

  /** @param {any} frame */
  #welcome(frame) {
    const foreign = frame.epoch !== this.#epoch;
    if (foreign || frame.resume !== "ok") {
      if (foreign) {
        this.#top = null;
        this.#ahead.clear();
      }
      this.#seq = null;
      this.#unreadAt = -1;
    }
    this.#epoch = frame.epoch;
    this.#held.clear();
    this.#head = frame.head;
    this.#waiting = true;
    this.#count(frame.unread, frame.head);
  }

  /** @param {any} frame @param {Effects} effects */
  #snap(frame, effects) {
    if (this.#epoch === null || (this.#seq !== null && frame.seq <= this.#seq)) return;
    this.#forget(frame.seq, effects);
    this.#whole = true;
    this.#move(frame.seq, frame, effects);
    this.#settle(effects, true);
  }

  /** @param {any} frame @param {Effects} effects */
  #fill(frame, effects) {
    const from = this.#seq ?? 0;
    if (this.#epoch === null || frame.from > from) return;
    const further = this.#seq === null || frame.to > from;
    if (this.#seq === null) this.#forget(frame.to, effects);
    if (further) this.#move(frame.to, frame, effects);
    this.#settle(effects, further);
  }

  /** @param {any} frame @param {Effects} effects */
  #event(frame, effects) {
    if (this.#epoch === null || (this.#seq !== null && frame.seq <= this.#seq)) return;
    this.#head = Math.max(this.#head, frame.seq);
    if (this.#held.size < HELD_AT_MOST) this.#held.set(frame.seq, frame);
    this.#settle(effects, false);
  }

  /**
   * Rows that jumped the queue: news at once, and no news when their turn comes.
   * @param {any} frame @param {Effects} effects
   */
  #hurry({ items }, effects) {
    for (const row of items) {
      if (!isNews(row, this.#top ?? 0) || this.#ahead.has(row.id)) continue;
      this.#ahead.add(row.id);
      effects.added.push(row);
    }
  }

  /** Take what is held and fits; say whether to ask for the rest. @param {Effects} effects @param {boolean} further */
  #settle(effects, further) {
    if (this.#seq === null) return;
    for (const seq of [...this.#held.keys()].sort((a, b) => a - b)) {
      const frame = this.#held.get(seq);
      if (seq > this.#seq && frame.prev !== this.#seq) break;
      this.#held.delete(seq);
      if (seq > this.#seq) this.#move(seq, frame, effects);
    }
    if (!this.behind) this.#waiting = false;
    else if (further || !this.#waiting) this.#ask(effects);
  }

  /** @param {number} seq @param {any} frame @param {Effects} effects */
  #move(seq, { items = [], unread, read_upto: upto, at }, effects) {
    this.#seq = seq;
    this.#head = Math.max(this.#head, seq);
    effects.moved = true;
    if (upto !== undefined) this.#sweep({ upto, seq, at }, effects);
    const known = this.#top;
    for (const item of items) {
      this.#top = Math.max(this.#top ?? 0, item.number);
      const row = this.#put(item, effects);
      const told = this.#ahead.delete(row.id);
      if (known !== null && !told && isNews(row, known)) effects.added.push(row);
    }
    this.#top ??= 0;
    this.#count(unread, seq);
  }

  /** @param {Row} row @param {Effects} effects @returns {Row} */
  #put(row, effects) {
    const old = this.#rows.get(row.id);
    if (old && old.seq >= row.seq) return old;
    this.#rows.set(row.id, row);
    effects.changed.push(row);
    return row;
  }

  /** Also true for rows that are still to be loaded. @param {Sweep} sweep @param {Effects} effects */
  #sweep(sweep, effects) {
    this.#sweeps.push(sweep);
    if (this.#sweeps.length > SWEEPS_AT_MOST) this.#floor = this.#sweeps.shift()?.seq ?? 0;
    for (const row of this.#rows.values()) {
      const now = swept(row, sweep);
      if (now !== row) this.#put(now, effects);
    }
  }

  /** @param {number} seq @param {Effects} effects */
  #forget(seq, effects) {
    this.#rows.clear();
    this.#sweeps = [];
    this.#floor = seq;
    effects.reset = true;
  }

  /** @param {number} unread @param {number} at */
  #count(unread, at) {
    if (at < this.#unreadAt) return;
    this.#unread = unread;
    this.#unreadAt = at;
  }

  /** @param {Effects} effects */
  #ask(effects) {
    this.#waiting = true;
    effects.ask = this.#seq ?? 0;
  }
}

/** @returns {Effects} */
function nothing() {
  return { ask: null, changed: [], added: [], moved: false, reset: false };
}

/** @param {Row} row @param {number} top */
function isNews(row, top) {
  return row.number > top && !row.read_at && !row.archived_at;
}

/** @param {Row} row @param {Sweep} sweep @returns {Row} */
function swept(row, { upto, seq, at }) {
  return row.read_at || row.seq > upto || row.seq >= seq ? row : { ...row, read_at: at, seq };
}
