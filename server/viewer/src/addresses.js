/**
 * Builds every address the page asks for or shows. Pure: strings in, strings out.
 *
 * The page lives at `/`, `/k/{key}/` or `/public/`, perhaps below a proxy's prefix, so everything is relative
 * to its own folder and nothing is root-absolute.
 */

/** Names under which a key may stand in a query; the first is the one we write. */
export const KEY_PARAMETERS = ["key", "api_key", "apikey", "authkey"];

/**
 * Gives the folder the page is served from.
 * @param {string} documentAddress Absolute address of the page, such as document.baseURI.
 * @returns {string} The same without file name, query and fragment; ends with a slash.
 */
export function baseAddress(documentAddress) {
  const address = new URL(".", documentAddress);
  address.search = "";
  address.hash = "";
  return address.href;
}

/**
 * Finds the key in a page's query.
 * @param {string} search Such as `?key=flx_...`.
 * @returns {string} The key; empty when there is none.
 */
export function keyInQuery(search) {
  const parameters = new URLSearchParams(search);
  for (const name of KEY_PARAMETERS) {
    const value = parameters.get(name);
    if (value) return value;
  }
  return "";
}

/**
 * Tells in which form of the service the page stands.
 * @param {string} base Base address, ends with a slash.
 * @returns {"keyed" | "public" | "open"} keyed: the key is in the path; public: credentials are ignored here.
 */
export function placeOf(base) {
  const path = new URL(base).pathname;
  if (/\/k\/[^/]+\/$/.test(path)) return "keyed";
  return /\/public\/$/.test(path) ? "public" : "open";
}

/**
 * Sets query parameters and leaves the rest of the address, template braces included, as it is.
 * @param {string} address Absolute or relative, may be a template.
 * @param {Record<string, string | undefined>} parameters Empty or undefined values are left out.
 * @returns {string} The address with these parameters, each once.
 */
export function withParameters(address, parameters) {
  const [body, fragment] = split(address, "#");
  const [path, query] = split(body, "?");
  const entries = Object.entries(parameters).filter(([, value]) => value);
  const names = new Set(entries.map(([name]) => name));
  const kept = query.split("&").filter((part) => part && !names.has(decodeURIComponent(part.split("=")[0])));
  const added = entries.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const all = [...kept, ...added].join("&");
  return path + (all ? `?${all}` : "") + (fragment ? `#${fragment}` : "");
}

function split(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * Tells whether an address carries a key, in its query or in its path.
 * @param {string} address Absolute address or template.
 */
export function carriesKey(address) {
  const [path, query] = split(address, "?");
  const names = query.split("&").map((part) => part.split("=")[0]);
  return KEY_PARAMETERS.some((name) => names.includes(name)) || /\/k\/[^/]+\//.test(path);
}

/**
 * Moves a template of the capabilities below the page's own base.
 *
 * A proxy that hides its host name from the server makes it write hrefs that lead nowhere; the page knows
 * where it was loaded from, so its own requests never depend on them.
 * @param {string} template Absolute template, such as `https://host/prefix/wmts/1.0.0/...`.
 * @param {string} base Base address, ends with a slash.
 * @returns {string} The template below base; unchanged when it is neither of WMTS nor of a preview.
 */
export function rebased(template, base) {
  const [path, query] = split(template, "?");
  const match = /^https?:\/\/[^/]+(?:\/.*)?\/(wmts(?:\/1\.0\.0\/.*)?|preview\/[^/]+)$/i.exec(path);
  return match ? base + match[1] + (query ? `?${query}` : "") : template;
}

/**
 * Gives the address of the capabilities.
 * @param {string} base Base address.
 */
export function capabilitiesAddress(base) {
  return `${base}wmts?service=WMTS&request=GetCapabilities&version=1.0.0`;
}

/**
 * Gives the address of a style's legend.
 * @param {string} base Base address.
 * @param {{layer: string, style: string, language: string, width: number}} wanted width: in CSS pixels.
 */
export function legendAddress(base, { layer, style, language, width }) {
  return withParameters(`${base}legend/${layer}/${style || "default"}.svg`, { lang: language, width: String(width) });
}

/**
 * Gives the address that asks what lies under one pixel of a tile.
 * @param {string} base Base address.
 * @param {{layer: string, style: string, format: string, grid: string, matrix: string, row: number,
 *   column: number, i: number, j: number, time?: string}} question i and j count pixels from the tile's
 *   upper left; time only for a layer that has that dimension.
 */
export function featureInfoAddress(base, question) {
  return withParameters(`${base}wmts`, {
    service: "WMTS",
    request: "GetFeatureInfo",
    version: "1.0.0",
    layer: question.layer,
    style: question.style,
    format: question.format,
    tilematrixset: question.grid,
    tilematrix: question.matrix,
    tilerow: String(question.row),
    tilecol: String(question.column),
    i: String(question.i),
    j: String(question.j),
    infoformat: "application/json",
    time: question.time,
  });
}

/**
 * Gives the addresses to copy, from the links the service gave.
 * @param {{links?: {rel: string, href: string}[], styles?: {id: string}[]}} layer A layer of the list.
 * @param {{style?: string, time?: string}} choice What is shown; the defaults are left out of the address.
 * @returns {{wmts: string, xyz: string, tilejson: string}} Empty strings for links the layer hasn't.
 */
export function sharedAddresses(layer, choice) {
  const style = choice.style === layer.styles?.[0]?.id ? "" : choice.style;
  const href = (rel) => layer.links?.find((link) => link.rel === rel)?.href ?? "";
  const chosen = (address) => address && withParameters(address, { style, time: choice.time });
  return { wmts: href("wmts"), xyz: chosen(href("xyz")), tilejson: chosen(href("tilejson")) };
}

/**
 * Reads what a shared page address asks to show.
 * @param {string} fragment Such as `#layer=toulouse&style=ndvi`; never holds a key.
 * @returns {{layer: string, style: string, time: string, compare: string, grid: string}} Empty strings where
 *   nothing is asked.
 */
export function choiceOf(fragment) {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ""));
  const read = (name) => parameters.get(name) ?? "";
  const [layer, style, time, compare, grid] = ["layer", "style", "time", "compare", "grid"].map(read);
  return { layer, style, time, compare, grid };
}

/**
 * Writes the fragment that choiceOf reads.
 * @param {Record<string, string | undefined>} choice Empty values are left out.
 */
export function fragmentOf(choice) {
  const entries = Object.entries(choice).filter(([, value]) => value);
  return entries.length ? `#${new URLSearchParams(entries)}` : "";
}
