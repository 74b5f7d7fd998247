/** Fills the side panel: the layer list, the chosen layer's settings and the addresses to copy. */

import { carriesKey, sharedAddresses } from "./addresses.js";
import { datesOf, matchingLayers } from "./answers.js";
import { byId, element } from "./dom.js";
import { drawableGrids, nameOfGrid } from "./grids.js";
import { dateInWords, inLanguage, sensorInWords } from "./language.js";

/** From this many layers on there is a search box. */
const SEARCH_FROM = 9;
const ADDRESSES = ["wmts", "xyz", "tilejson"];

/**
 * Shows the layers that match the search.
 * @param {object} state The page's state: layers, choice, search, language.
 * @param {(key: string, values?: object) => string} text Gives a text of the page.
 * @param {(id: string) => void} onChoose Called with the id of the layer the user takes.
 */
export function showLayers(state, text, onChoose) {
  byId("layers-title").textContent = state.layers.length
    ? text("layerCount", { count: state.layers.length })
    : text("layers");
  byId("search-row").hidden = state.layers.length < SEARCH_FROM;
  const found = matchingLayers(state.layers, state.search);
  const rows = found.map((layer) => layerRow(layer, state, text, onChoose));
  const focused = document.activeElement?.dataset.id;
  byId("layer-list").replaceChildren(...rows);
  if (focused) rows.map((row) => row.firstChild).find((button) => button.dataset.id === focused)?.focus();
  byId("search-nothing").hidden = !state.layers.length || found.length > 0;
}

function layerRow(layer, state, text, onChoose) {
  const [latest] = datesOf(layer.times);
  const about = [sensorsOf(layer, state.language), latest && dateInWords(state.language, latest)].filter(Boolean);
  const badge = { preview: "accessPreview", listed: "accessListed" }[layer.access];
  return element(
    "li",
    {},
    element(
      "button",
      {
        type: "button",
        class: "layer",
        "data-id": layer.id,
        "aria-current": layer.id === state.choice.layer?.id ? "true" : undefined,
        onclick: () => onChoose(layer.id),
      },
      element("span", { class: "layer-title" }, inLanguage(state.language, layer.title) || layer.id),
      element("span", { class: "layer-about" }, about.join(" · ")),
      badge && element("span", { class: `badge ${layer.access}` }, text(badge)),
    ),
  );
}

function sensorsOf(layer, language) {
  return (layer.sensors ?? []).map((id) => sensorInWords(language, layer, id)).join(", ");
}

/**
 * Shows the chosen layer: what it is, and its settings as they stand.
 * @param {object} state The page's state.
 * @param {(key: string, values?: object) => string} text Gives a text of the page.
 */
export function showChosen(state, text) {
  const { layer } = state.choice;
  byId("chosen").hidden = !layer;
  byId("credit").hidden = !layer?.attribution;
  byId("credit").textContent = layer?.attribution ?? "";
  if (!layer) return;
  byId("chosen-title").textContent = inLanguage(state.language, layer.title) || layer.id;
  const description = inLanguage(state.language, layer.description);
  byId("chosen-description").textContent = description;
  byId("chosen-description").hidden = !description;
  showNote(state, text);
  showFacts(layer, state.language, text);
  showSettings(state, text);
  showAddresses(state, text);
}

function showNote(state, text) {
  const { layer } = state.choice;
  const note = { preview: "accessPreviewNote", listed: "accessListedNote" }[layer.access];
  const key = note ?? (state.drawn === false ? "noMapNote" : "");
  const asked = (layer.links ?? []).find((link) => link.rel === "request-access");
  const ask = asked && element("a", { href: asked.href, target: "_blank", rel: "noopener noreferrer" });
  ask?.append(text("requestAccess"));
  byId("chosen-note").hidden = !key;
  byId("chosen-note").replaceChildren(...(key ? [text(key), ...(ask ? [" ", ask] : [])] : []));
}

function showFacts(layer, language, text) {
  const dates = datesOf(layer.times);
  const span =
    dates.length > 1
      ? text("dateSpan", {
          count: dates.length,
          first: dateInWords(language, dates.at(-1)),
          last: dateInWords(language, dates[0]),
        })
      : dates.map((date) => dateInWords(language, date)).join("");
  const facts = [
    ["attribution", layer.attribution],
    ["licence", (layer.licences ?? []).join(", ")],
    ["sensor", sensorsOf(layer, language)],
    ["dates", span],
  ].filter(([, value]) => value);
  const rows = facts.flatMap(([key, value]) => [element("dt", {}, text(key)), element("dd", {}, value)]);
  byId("chosen-facts").replaceChildren(...rows);
}

function showSettings(state, text) {
  const { layer, style, time, compare, grid } = state.choice;
  const { language } = state;
  const styles = (layer.styles ?? []).map(({ id, title }) => [id, inLanguage(language, title) || id]);
  const times = datesOf(layer.times).map((date) => [date, dateInWords(language, date)]);
  const grids = drawableGrids(layer.grids ?? []).map((id) => [id, nameOfGrid(id, text)]);
  fillSelect("style", styles, style, styles.length > 0);
  fillSelect("time", [["", text("dateLatest")], ...times], time, times.length > 1);
  fillSelect("compare", [["", text("compareNone")], ...times], compare, times.length > 1);
  byId("swipe-row").hidden = !compare;
  fillSelect("grid", grids, grid, grids.length > 1);
  byId("settings").hidden = !state.drawn;
}

function fillSelect(id, options, chosen, wanted) {
  byId(`${id}-row`).hidden = !wanted;
  const nodes = options.map(([value, label]) => element("option", { value }, label));
  byId(id).replaceChildren(...nodes);
  byId(id).value = chosen;
}

function showAddresses(state, text) {
  const { layer, style, time } = state.choice;
  const addresses = sharedAddresses(layer, { style, time });
  for (const name of ADDRESSES) {
    byId(`${name}-row`).hidden = !addresses[name];
    byId(name).value = addresses[name];
    byId(`${name}-copy`).setAttribute("aria-label", text("copyWhat", { what: text(name) }));
  }
  const given = ADDRESSES.map((name) => addresses[name]).filter(Boolean);
  const keyed = given.some(carriesKey);
  byId("addresses").hidden = !given.length;
  byId("addresses-note").hidden = !keyed && !state.withKey;
  byId("addresses-note").textContent = text(keyed ? "addressesKey" : "addressesNoKey");
}

/**
 * Makes the copy buttons work.
 * @param {(key: string) => void} say Tells the user, by the name of a text.
 */
export function bindCopyButtons(say) {
  for (const name of ADDRESSES) {
    const box = byId(name);
    box.addEventListener("focus", () => box.select());
    byId(`${name}-copy`).addEventListener("click", async () => say((await copy(box)) ? "copied" : "copyFailed"));
  }
}

/** Browsers give no clipboard to pages over plain http, hence the older way behind the first. */
async function copy(box) {
  try {
    await navigator.clipboard.writeText(box.value);
    return true;
  } catch {
    box.focus();
    box.select();
    return document.execCommand("copy");
  }
}

/**
 * Shows the preview picture of a layer that isn't drawn.
 * @param {Blob | null} picture null: takes the picture away.
 * @param {string} words What the picture is, for those who don't see it.
 */
export function showPreview(picture, words) {
  showPicture("chosen-preview", picture, words);
}

/**
 * Shows what the colours of the chosen style mean.
 * @param {Blob | null} picture null: takes the legend away.
 * @param {string} words What the picture is, for those who don't see it.
 */
export function showLegend(picture, words) {
  showPicture("legend", picture, words);
}

function showPicture(id, picture, words) {
  const image = byId(id);
  if (image.src) URL.revokeObjectURL(image.src);
  image.hidden = !picture;
  image.alt = words;
  if (picture) image.src = URL.createObjectURL(picture);
  else image.removeAttribute("src");
}
