/**
 * What a tab shows of the inbox: a copy of what the leading tab knows. To be read like an `Inbox`.
 *
 * @module mirror
 */

/** @typedef {import("./inbox.js").Row} Row */
/** @typedef {import("./inbox.js").Cursor} Cursor */
/** @typedef {{cursor: Cursor|null, unread: number, counted: boolean, whole: boolean}} Facts */

export class Mirror {
  #rows = /** @type {Map<string, Row>} */ (new Map());
  #facts = /** @type {Facts} */ ({ cursor: null, unread: 0, counted: false, whole: false });

  get cursor() {
    return this.#facts.cursor;
  }

  get unread() {
    return this.#facts.unread;
  }

  get counted() {
    return this.#facts.counted;
  }

  get whole() {
    return this.#facts.whole;
  }

  /** @returns {Row[]} every known row, newest first, archived ones too */
  get rows() {
    return [...this.#rows.values()].sort((a, b) => b.number - a.number);
  }

  /** @param {string} id @returns {Row|undefined} */
  row(id) {
    return this.#rows.get(id);
  }

  /** These rows are not as they were. @param {Row[]} changed @param {Facts} facts */
  put(changed, facts) {
    for (const row of changed) this.#rows.set(row.id, row);
    this.#facts = facts;
  }

  /**
   * These are all the rows.
   * @param {Row[]} rows @param {Facts} facts
   * @returns {{changed: Row[], added: Row[], reset: boolean}} what that means to somebody who shows them
   */
  replace(rows, facts) {
    const before = this.#rows;
    const cursor = this.#facts.cursor;
    const resumed = cursor !== null && cursor.epoch === facts.cursor?.epoch;
    const changed = rows.filter(({ id, seq }) => before.get(id)?.seq !== seq);
    const added = changed.filter((row) => resumed && row.number > cursor.top && !row.read_at && !row.archived_at);
    this.#rows = new Map(rows.map((row) => [row.id, row]));
    this.#facts = facts;
    const gone = [...before.keys()].some((id) => !this.#rows.has(id));
    return { changed, added, reset: gone || (cursor !== null && !resumed) };
  }
}
