/** Chooses the page's language and gives texts in it. Pure. */

import { texts } from "./texts.js";

/** Languages of the page; the first is the one for everybody else. */
export const LANGUAGES = ["fr", "en"];

/** How dates and numbers are written. */
const LOCALES = { fr: "fr-FR", en: "en-GB" };
const MIDNIGHT = /T00:00(:00(\.0+)?)?(Z|\+00:00)$/;

/**
 * Chooses the language: the address first, then the browser's order of preference.
 * @param {string} search Query of the page, such as `?lang=en`.
 * @param {readonly string[]} preferred Such as navigator.languages.
 * @returns {string} One of LANGUAGES.
 */
export function chooseLanguage(search, preferred) {
  const wanted = [new URLSearchParams(search).get("lang") ?? "", ...preferred];
  const short = wanted.map((tag) => tag.toLowerCase().split("-")[0]);
  return short.find((tag) => LANGUAGES.includes(tag)) ?? preferredElsewhere(preferred);
}

/** Someone who reads neither is more likely to know English. */
function preferredElsewhere(preferred) {
  return preferred.length ? "en" : LANGUAGES[0];
}

/**
 * Gives a text of the page.
 * @param {string} language One of LANGUAGES.
 * @param {string} key Name in texts.js.
 * @param {Record<string, string | number>} [values] Filled in where the text says `{name}`.
 */
export function translate(language, key, values = {}) {
  const text = texts[language][key];
  if (text === undefined) throw new Error(`no text "${key}" in ${language}`);
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * Picks the language of a text that the service gives as {"fr": ..., "en": ...}.
 * @param {string} language One of LANGUAGES.
 * @param {{fr?: string, en?: string} | string | undefined} text What the service gave.
 * @returns {string} The other language where this one is missing; empty when there is none.
 */
export function inLanguage(language, text) {
  if (typeof text === "string") return text;
  return text?.[language] || LANGUAGES.map((other) => text?.[other]).find(Boolean) || "";
}

/**
 * Names a sensor.
 * @param {string} language One of LANGUAGES.
 * @param {{sensor_titles?: Record<string, object>} | undefined} layer A layer of the list.
 * @param {string} id Such as `pleiades`; it stands for itself where the layer has no title for it.
 */
export function sensorInWords(language, layer, id) {
  return inLanguage(language, layer?.sensor_titles?.[id]) || id;
}

/**
 * Writes a date or an instant in words.
 * @param {string} language One of LANGUAGES.
 * @param {string} date ISO 8601, `2017-08-31` or with a time (then UTC); intervals `A/B`. Midnight sharp is how
 *   the service writes that only the day is known.
 * @returns {string} The text as it came when it isn't a date.
 */
export function dateInWords(language, date) {
  if (date.includes("/")) {
    return date
      .split("/")
      .map((part) => dateInWords(language, part))
      .join(" – ");
  }
  const instant = new Date(date);
  const dayOnly = !date.includes("T") || MIDNIGHT.test(date);
  if (Number.isNaN(instant.getTime())) return date;
  const form = { dateStyle: "long", timeZone: "UTC" };
  const parts = dayOnly ? form : { ...form, timeStyle: "short" };
  const words = new Intl.DateTimeFormat(LOCALES[language], parts).format(instant);
  const said = language === "fr" ? words.replace(/^1 /, "1er ") : words;
  return dayOnly ? said : `${said} UTC`;
}

/**
 * Writes a number with as many digits as are worth reading.
 * @param {string} language One of LANGUAGES.
 * @param {number} value Any finite number.
 */
export function numberInWords(language, value) {
  return new Intl.NumberFormat(LOCALES[language], { maximumSignificantDigits: 6 }).format(value);
}

/**
 * Writes a number with a fixed number of decimals.
 * @param {string} language One of LANGUAGES.
 * @param {number} value Any finite number.
 * @param {number} digits Decimals.
 */
export function fixedNumber(language, value, digits) {
  const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(LOCALES[language], form).format(value);
}
