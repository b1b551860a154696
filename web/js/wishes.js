/**
 * What the person asked for and the server has not shown yet, laid over the truth.
 *
 * A wish holds for the row it was made on. As soon as that row changes, the truth speaks again; but when several wishes
 * wait for the same row, the change is the answer to the first of them, and the others still hold.
 *
 * @module wishes
 */

/** @typedef {import("./inbox.js").Row} Row */
/** @typedef {"read"|"unread"|"archive"} Mark */

/** @type {Record<Mark, (row: Row, at: string) => Row>} */
const WISHED = {
  read: (row, at) => ({ ...row, read_at: row.read_at ?? at }),
  unread: (row) => ({ ...row, read_at: null, archived_at: null }),
  archive: (row, at) => ({ ...row, read_at: row.read_at ?? at, archived_at: at }),
};

export class Wishes {
  #wishes = /** @type {Set<{mark: Mark, at: string, seqs: Map<string, number>}>} */ (new Set());

  /**
   * @param {Mark} mark @param {Row[]} rows @param {number} now in ms
   * @returns {() => void} takes the wish back
   */
  add(mark, rows, now) {
    const seqs = new Map(rows.map(({ id, seq }) => [id, seq]));
    const wish = { mark, at: new Date(now).toISOString(), seqs };
    this.#wishes.add(wish);
    return () => this.#wishes.delete(wish);
  }

  /** @param {Row} row @returns {Row} as it will be */
  over(row) {
    const waiting = [...this.#wishes].filter(({ seqs }) => seqs.has(row.id));
    const fulfilled = waiting.find(({ seqs }) => seqs.get(row.id) !== row.seq);
    fulfilled?.seqs.delete(row.id);
    let seen = row;
    for (const { mark, at, seqs } of waiting) {
      if (!seqs.has(row.id)) continue;
      seqs.set(row.id, row.seq);
      seen = WISHED[mark](seen, at);
    }
    return seen;
  }

  /** @param {number} count unread ones, in truth @param {(id: string) => Row|undefined} find @returns {number} */
  count(count, find) {
    const ids = new Set([...this.#wishes].flatMap(({ seqs }) => [...seqs.keys()]));
    let wished = count;
    for (const id of ids) {
      const row = find(id);
      if (row) wished += Number(!this.over(row).read_at) - Number(!row.read_at);
    }
    return Math.max(0, wished);
  }
}
