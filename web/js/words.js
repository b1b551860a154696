/**
 * What the client says, in English and Arabic, with the plural forms of each language.
 *
 * A word is a string, or one string per plural form; `{name}` is filled in, `{n}` by the counted number.
 *
 * @module words
 */

const ENGLISH = {
  name: "Notifications",
  nameUnread: { one: "Notifications, {n} unread", other: "Notifications, {n} unread" },
  nameNotLive: "{name}. {status}",
  unread: { zero: "Nothing unread", one: "{n} unread", other: "{n} unread" },
  fresh: { one: "{n} new notification", other: "{n} new notifications" },
  showFresh: { one: "Show {n} new", other: "Show {n} new" },
  announceOne: "New notification: {title}",
  live: "Live",
  "catching-up": "Catching up",
  offline: "Offline since {time}",
  then: "{count} then",
  stale: "The number may be out of date.",
  readAll: "Mark all read",
  seeAll: "See all notifications",
  markRead: "Mark read",
  markUnread: "Mark unread",
  archive: "Archive",
  close: "Close",
  undo: "Undo",
  undone: "Undone",
  didRead: { one: "{n} marked read", other: "{n} marked read" },
  didUnread: { one: "{n} marked unread", other: "{n} marked unread" },
  didArchive: { one: "{n} archived", other: "{n} archived" },
  undoSome: { one: "Undo the newest", other: "Undo the newest {n}" },
  failed: "That did not work: {why}",
  emptyTitle: "Nothing waiting",
  emptyText: "New notifications appear here by themselves.",
  loading: "Loading",
  loadFailed: "The list could not be loaded.",
  tryAgain: "Try again",
  soundOn: "Sound on",
  soundOff: "Sound off",
  soundTest: "Test",
  keys: "Keyboard shortcuts",
  keyMove: "Next, previous",
  keyOpen: "Open",
  keyArchive: "Archive",
  keyRead: "Mark read",
  keyUnread: "Mark unread",
  keyUndo: "Undo",
  keyHelp: "Show or hide these keys",
  keyClose: "Close",
  isUnread: "Unread",
  level: { info: "Info", success: "Done", warning: "Warning", error: "Problem" },
  critical: "Critical",
  clearance: { cleared: "Cleared", pending: "Clearance pending", issue: "Clearance issue" },
  consent: { signed: "Consent signed", missing: "Consent missing", expired: "Consent expired" },
  appointment: "Appointment at",
  justNow: "now",
  waited: { one: "{n} min", other: "{n} min" },
  waitedHours: { one: "{n} h", other: "{n} h" },
  waitedLong: "{hours} {minutes}",
  boardFailed: "The board could not be updated. It is from {time}.",
  found: { zero: "Nobody found", one: "{n} found", other: "{n} found" },
  noAnswer: "The server did not answer. Please try again.",
  secondsLeft: { one: "{n} second", other: "{n} seconds" },
};

const ARABIC = {
  name: "الإشعارات",
  nameUnread: {
    zero: "الإشعارات، لا جديد",
    one: "الإشعارات، إشعار واحد غير مقروء",
    two: "الإشعارات، إشعاران غير مقروءين",
    few: "الإشعارات، {n} إشعارات غير مقروءة",
    many: "الإشعارات، {n} إشعارًا غير مقروء",
    other: "الإشعارات، {n} إشعار غير مقروء",
  },
  nameNotLive: "{name}. {status}",
  unread: {
    zero: "لا شيء غير مقروء",
    one: "واحد غير مقروء",
    two: "اثنان غير مقروءين",
    few: "{n} غير مقروءة",
    many: "{n} غير مقروء",
    other: "{n} غير مقروء",
  },
  fresh: {
    zero: "لا إشعارات جديدة",
    one: "إشعار جديد",
    two: "إشعاران جديدان",
    few: "{n} إشعارات جديدة",
    many: "{n} إشعارًا جديدًا",
    other: "{n} إشعار جديد",
  },
  showFresh: {
    zero: "عرض الجديد",
    one: "عرض إشعار جديد",
    two: "عرض إشعارين جديدين",
    few: "عرض {n} إشعارات جديدة",
    many: "عرض {n} إشعارًا جديدًا",
    other: "عرض {n} إشعار جديد",
  },
  announceOne: "إشعار جديد: {title}",
  live: "مباشر",
  "catching-up": "جارٍ التحديث",
  offline: "دون اتصال منذ {time}",
  then: "حينها: {count}",
  stale: "قد لا يكون العدد محدَّثًا.",
  readAll: "تعليم الكل كمقروء",
  seeAll: "جميع الإشعارات",
  markRead: "تعليم كمقروء",
  markUnread: "تعليم كغير مقروء",
  archive: "أرشفة",
  close: "إغلاق",
  undo: "تراجع",
  undone: "تم التراجع",
  didRead: {
    zero: "لا شيء للتعليم",
    one: "تم تعليم إشعار واحد كمقروء",
    two: "تم تعليم إشعارين كمقروءين",
    few: "تم تعليم {n} إشعارات كمقروءة",
    many: "تم تعليم {n} إشعارًا كمقروء",
    other: "تم تعليم {n} إشعار كمقروء",
  },
  didUnread: {
    zero: "لا شيء للتعليم",
    one: "تم تعليم إشعار واحد كغير مقروء",
    two: "تم تعليم إشعارين كغير مقروءين",
    few: "تم تعليم {n} إشعارات كغير مقروءة",
    many: "تم تعليم {n} إشعارًا كغير مقروء",
    other: "تم تعليم {n} إشعار كغير مقروء",
  },
  didArchive: {
    zero: "لا شيء للأرشفة",
    one: "تمت أرشفة إشعار واحد",
    two: "تمت أرشفة إشعارين",
    few: "تمت أرشفة {n} إشعارات",
    many: "تمت أرشفة {n} إشعارًا",
    other: "تمت أرشفة {n} إشعار",
  },
  undoSome: {
    zero: "تراجع",
    one: "تراجع عن الأحدث",
    two: "تراجع عن أحدث إشعارين",
    few: "تراجع عن أحدث {n} إشعارات",
    many: "تراجع عن أحدث {n} إشعارًا",
    other: "تراجع عن أحدث {n} إشعار",
  },
  failed: "تعذّر ذلك: {why}",
  emptyTitle: "لا شيء بالانتظار",
  emptyText: "تظهر الإشعارات الجديدة هنا تلقائيًا.",
  loading: "جارٍ التحميل",
  loadFailed: "تعذّر تحميل القائمة.",
  tryAgain: "إعادة المحاولة",
  soundOn: "الصوت مفعّل",
  soundOff: "الصوت متوقف",
  soundTest: "تجربة",
  keys: "اختصارات لوحة المفاتيح",
  keyMove: "التالي، السابق",
  keyOpen: "فتح",
  keyArchive: "أرشفة",
  keyRead: "تعليم كمقروء",
  keyUnread: "تعليم كغير مقروء",
  keyUndo: "تراجع",
  keyHelp: "إظهار الاختصارات أو إخفاؤها",
  keyClose: "إغلاق",
  isUnread: "غير مقروء",
  level: { info: "معلومة", success: "تم", warning: "تنبيه", error: "مشكلة" },
  critical: "حرج",
  clearance: { cleared: "الوضع المالي مستوفى", pending: "الوضع المالي قيد المراجعة", issue: "مشكلة في الوضع المالي" },
  consent: { signed: "الموافقة موقّعة", missing: "الموافقة غير متوفرة", expired: "الموافقة منتهية" },
  appointment: "الموعد",
  justNow: "الآن",
  waited: {
    zero: "أقل من دقيقة",
    one: "دقيقة",
    two: "دقيقتان",
    few: "{n} دقائق",
    many: "{n} دقيقة",
    other: "{n} دقيقة",
  },
  waitedHours: {
    zero: "أقل من ساعة",
    one: "ساعة",
    two: "ساعتان",
    few: "{n} ساعات",
    many: "{n} ساعة",
    other: "{n} ساعة",
  },
  waitedLong: "{hours} و{minutes}",
  boardFailed: "تعذّر تحديث اللوحة. آخر تحديث عند {time}.",
  found: {
    zero: "لا نتائج",
    one: "نتيجة واحدة",
    two: "نتيجتان",
    few: "{n} نتائج",
    many: "{n} نتيجة",
    other: "{n} نتيجة",
  },
  noAnswer: "لم يُجب الخادم. تُرجى إعادة المحاولة.",
  secondsLeft: {
    zero: "أقل من ثانية",
    one: "ثانية واحدة",
    two: "ثانيتان",
    few: "{n} ثوانٍ",
    many: "{n} ثانية",
    other: "{n} ثانية",
  },
};

export const LANGUAGES = {
  en: { words: ENGLISH, locale: "en-GB", dir: "ltr" },
  ar: { words: ARABIC, locale: "ar-u-nu-latn", dir: "rtl" },
};

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export class Words {
  #words;
  #locale;
  #plural;
  #zone;

  /**
   * @param {string} lang a language tag; what is not Arabic is English
   * @param {string} [zone] IANA time zone; without it, the browser's
   */
  constructor(lang, zone) {
    this.lang = /^ar\b/i.test(lang) ? "ar" : "en";
    const { words, locale, dir } = LANGUAGES[this.lang];
    this.#words = words;
    this.#locale = locale;
    this.#zone = zone;
    this.#plural = new Intl.PluralRules(locale);
    /** @type {"ltr"|"rtl"} */
    this.dir = /** @type {"ltr"|"rtl"} */ (dir);
  }

  /** @param {string} key @param {Record<string, string|number>} [values] @returns {string} */
  say(key, values = {}) {
    return filled(this.#words[key], values);
  }

  /** @param {string} key @param {string} value one of a closed list @returns {string|undefined} undefined for another */
  one(key, value) {
    return Object.hasOwn(this.#words[key], value) ? this.#words[key][value] : undefined;
  }

  /** @param {string} key @param {number} n @returns {string} */
  count(key, n) {
    const forms = this.#words[key];
    const form = n === 0 && forms.zero ? "zero" : this.#plural.select(n);
    return filled(forms[form] ?? forms.other, { n: this.number(n) });
  }

  /** @param {number} n @returns {string} */
  number(n) {
    return new Intl.NumberFormat(this.#locale).format(n);
  }

  /** @param {number} at in ms @returns {string} such as 09:12 */
  clock(at) {
    return this.#date(at, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  }

  /** @param {number} at in ms @returns {string} the whole date and time */
  full(at) {
    return this.#date(at, { dateStyle: "full", timeStyle: "short", hourCycle: "h23" });
  }

  /** @param {number} at @param {number} now both in ms @returns {string} how long ago; a date after a week */
  ago(at, now) {
    const past = Math.max(0, now - at);
    if (past < MINUTE) return this.say("justNow");
    const relative = new Intl.RelativeTimeFormat(this.#locale, { numeric: "auto", style: "narrow" });
    if (past < HOUR) return relative.format(-Math.floor(past / MINUTE), "minute");
    if (past < DAY) return relative.format(-Math.floor(past / HOUR), "hour");
    if (past < 7 * DAY) return relative.format(-Math.floor(past / DAY), "day");
    return this.#date(at, { day: "numeric", month: "short" });
  }

  /** @param {number} minutes @returns {string} */
  minutes(minutes) {
    const rest = this.count("waited", minutes % 60);
    if (minutes < 60) return rest;
    const hours = this.count("waitedHours", Math.floor(minutes / 60));
    return minutes % 60 ? this.say("waitedLong", { hours, minutes: rest }) : hours;
  }

  /** @param {{state: string, since: number}} status @returns {string} live, catching up, or offline since when */
  status({ state, since }) {
    return this.say(state, { time: this.clock(since) });
  }

  #date(at, options) {
    return new Intl.DateTimeFormat(this.#locale, { ...options, timeZone: this.#zone }).format(at);
  }
}

/** @returns {Words} in the language of the page */
export function pageWords() {
  return new Words(document.documentElement.lang, document.body?.dataset.zone);
}

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
