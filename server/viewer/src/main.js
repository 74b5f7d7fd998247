/** Starts the page: holds its state and lets session, map and panel work together. */

import "ol/ol.css";
import "../style.css";
import {
  baseAddress,
  capabilitiesAddress,
  choiceOf,
  featureInfoAddress,
  fragmentOf,
  keyInQuery,
  legendAddress,
  placeOf,
  rebased,
} from "./addresses.js";
import { findings } from "./answers.js";
import { byId } from "./dom.js";
import { drawableGrids } from "./grids.js";
import { bindKeyBox, showKeyBox } from "./key.js";
import { chooseLanguage, fixedNumber, inLanguage, numberInWords, translate } from "./language.js";
import { createMap } from "./map.js";
import { bindCopyButtons, showChosen, showLayers, showLegend, showPreview } from "./panel.js";
import { findingNodes, Popup } from "./popup.js";
import { Session } from "./session.js";
import { parseCapabilities, pixelAt } from "./wmts.js";

const NOTHING = { layer: null, style: "", time: "", compare: "", grid: "" };
const SAID_FOR_MILLISECONDS = 4000;
/** Of the legend: the panel less its margins, and the picture's own. */
const LEGEND_WIDTH = 345;
/** Below this width the panel is a drawer; the same number stands in style.css. */
const DRAWER = matchMedia("(max-width: 760px)");

const base = baseAddress(document.baseURI);
const place = placeOf(base);
const session = new Session({
  key: keyInQuery(location.search),
  keyInPath: place === "keyed",
  store: place === "open" ? tabStore() : null,
  fetch: (...request) => fetch(...request),
});
const state = {
  language: chooseLanguage(location.search, navigator.languages),
  layers: [],
  capabilities: null,
  choice: NOTHING,
  search: "",
  drawn: false,
  failedTiles: 0,
  problem: null,
  loaded: false,
  get withKey() {
    return session.withKey;
  },
};
const map = createMap(byId("map"), {
  loadPicture: (address, signal) => session.picture(address, signal),
  degreesInWords,
  onState: setState,
  onTileError: countFailure,
  onMove: showStatus,
  onShare: showShare,
  onClick: (coordinate) => askInfo(coordinate),
});
const popup = new Popup(map.map);
let load = 0;
let question = new AbortController();
let legend = new AbortController();

function text(key, values) {
  return translate(state.language, key, values);
}

function tabStore() {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}

function degreesInWords(degrees, step, axis) {
  const digits = Math.max(0, Math.ceil(-Math.log10(step)));
  const side = axis === "latitude" ? (degrees < 0 ? "S" : "N") : degrees < 0 ? "W" : "E";
  const number = fixedNumber(state.language, Math.abs(degrees), digits);
  if (Number(Math.abs(degrees).toFixed(digits)) === 0) return `${number}°`;
  return `${number}° ${state.language === "fr" && side === "W" ? "O" : side}`;
}

/** Tests and style sheets wait for this: loading, ready, empty or error. */
function setState(name) {
  document.body.dataset.state = name;
  showStatus();
}

function showStatus() {
  const { state: name } = document.body.dataset;
  const status = byId("map-status");
  let words = "";
  if (name === "loading") words = text("loading");
  else if (state.drawn && !map.inRange) words = text("zoomCloser");
  else if (state.failedTiles) {
    words = `${text("tilesFailed", { count: state.failedTiles })} ${text(state.problem.reason, state.problem)}`;
  }
  status.hidden = !words;
  status.textContent = words;
  document.body.dataset.failedTiles = String(state.failedTiles);
}

/** Shows where the map is cut between two dates. */
function showShare(share) {
  byId("swipe-line").style.left = `${share * 100}%`;
  byId("swipe").value = String(Math.round(share * 100));
  byId("map").dataset.share = String(share);
}

function showComparison() {
  byId("swipe-line").hidden = !(state.drawn && state.choice.compare) || map.comparison.flickers;
  byId("flicker").setAttribute("aria-pressed", String(map.comparison.flickers));
}

function countFailure(error) {
  state.failedTiles += 1;
  state.problem = error.reason ? error : { reason: "errorAnswer", status: 0 };
  showStatus();
}

function forgetFailures() {
  state.failedTiles = 0;
  state.problem = null;
}

/** Says something once, to eyes and to screen readers. */
function say(key) {
  const said = byId("said");
  said.textContent = text(key);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => {
    said.textContent = "";
  }, SAID_FOR_MILLISECONDS);
}

/** Asks for the layers and the capabilities with the key as it is now. */
async function loadLayers() {
  load += 1;
  const mine = load;
  const wanted = choiceOf(location.hash);
  clearPage();
  try {
    const answer = await session.open(`${base}layers`);
    if (mine !== load) return;
    state.layers = answer.layers ?? [];
    state.loaded = true;
    render();
    if (state.layers.some((layer) => layer.access !== "listed")) {
      state.capabilities = parseCapabilities(await session.text(capabilitiesAddress(base)));
      if (mine !== load) return;
      if (!state.capabilities) return fail({ reason: "errorAnswer" });
    }
    chooseFirst(wanted);
  } catch (error) {
    if (mine === load) fail(error);
  }
}

function clearPage() {
  state.layers = [];
  state.capabilities = null;
  state.choice = NOTHING;
  state.drawn = false;
  state.loaded = false;
  forgetFailures();
  map.clear();
  map.outline(null);
  popup.close();
  showPreview(null, "");
  legend.abort();
  showLegend(null, "");
  delete document.body.dataset.layer;
  byId("problem").hidden = true;
  setState("loading");
  render();
}

function fail(error) {
  if (error.status === 401) session.use("", false);
  state.problem = error.reason ? error : { reason: "errorAnswer", status: 0 };
  if (!error.reason) console.error(error);
  setState("error");
  render();
  if (DRAWER.matches) setDrawer(true);
}

function chooseFirst(wanted) {
  const known = state.layers.find((layer) => layer.id === wanted.layer);
  const first = known ?? state.layers.find((layer) => layer.access !== "listed") ?? state.layers[0];
  if (!first) {
    setState("empty");
    if (DRAWER.matches) setDrawer(true);
    return;
  }
  choose(first.id, known ? wanted : {});
}

/** Takes a layer, with these settings where it offers them and its defaults else. */
function choose(id, wanted = {}) {
  const layer = state.layers.find((one) => one.id === id);
  const offered = (values, value) => (values.includes(value) ? value : undefined);
  const styles = (layer.styles ?? []).map((style) => style.id);
  const grids = drawableGrids(layer.grids ?? []);
  state.choice = {
    layer,
    style: offered(styles, wanted.style) ?? styles[0] ?? "",
    time: offered(layer.times ?? [], wanted.time) ?? "",
    compare: offered(layer.times ?? [], wanted.compare) ?? "",
    grid: offered(grids, wanted.grid) ?? grids[0] ?? "",
  };
  draw();
}

/** Draws what is chosen, or shows its preview where it can't be drawn. */
function draw() {
  const { layer, style, time, compare, grid } = state.choice;
  forgetFailures();
  popup.close();
  showPreview(null, "");
  document.body.dataset.layer = layer.id;
  const served = { base, address: (address) => session.address(address) };
  state.drawn = state.capabilities !== null && map.show(state.capabilities, state.choice, served);
  if (!state.drawn) {
    map.clear();
    map.outline(layer.extent ?? null);
    map.fit();
    setState("ready");
    loadPreview(layer);
  }
  showComparison();
  loadLegend();
  const first = layer.styles?.[0]?.id;
  const choice = { layer: layer.id, style: style === first ? "" : style, time, compare };
  choice.grid = shortGrid(layer, grid);
  history.replaceState(null, "", location.pathname + location.search + fragmentOf(choice));
  render();
}

function shortGrid(layer, grid) {
  return grid === drawableGrids(layer.grids ?? [])[0] ? "" : grid;
}

async function loadPreview(layer) {
  const link = layer.links?.find((one) => one.rel === "preview");
  if (!link) return;
  const address = rebased(link.href, base);
  const picture = await session.picture(address).catch(() => null);
  if (picture && state.choice.layer === layer) {
    showPreview(picture, text("previewImage", { title: inLanguage(state.language, layer.title) }));
  }
}

/** Shows the legend of the chosen style in the page's language; without one the page does as well. */
async function loadLegend() {
  const { layer, style } = state.choice;
  legend.abort();
  legend = new AbortController();
  const { signal } = legend;
  if (!layer || !state.drawn) return showLegend(null, "");
  const wanted = { layer: layer.id, style, language: state.language, width: LEGEND_WIDTH };
  const picture = await session.picture(legendAddress(base, wanted), signal).catch(() => null);
  if (signal.aborted) return;
  const shown = layer.styles?.find((one) => one.id === style);
  showLegend(picture, text("legendImage", { title: inLanguage(state.language, shown?.title) || style }));
}

/** Asks what lies at a place of the map and shows it there; the keyboard's focus follows where it asked. */
async function askInfo(coordinate, byKeyboard = false) {
  const { layer } = state.choice;
  if (!layer || !map.source) return;
  question.abort();
  question = new AbortController();
  const { signal } = question;
  popup.open(coordinate, [document.createTextNode(text("infoLoading"))]);
  if (byKeyboard) byId("popup-close").focus();
  const pixel = pixelAt(map.source, coordinate, map.resolution);
  const address = featureInfoAddress(base, { layer: layer.id, ...pixel });
  try {
    const answer = await session.json(address, signal);
    if (signal.aborted) return;
    popup.open(coordinate, infoNodes(coordinate, findings(answer)));
  } catch (error) {
    if (signal.aborted) return;
    popup.open(coordinate, infoNodes(coordinate, [], error));
  }
}

function infoNodes(coordinate, found, error) {
  const [longitude, latitude] = map.degrees(coordinate);
  const where = document.createElement("p");
  where.className = "where";
  const step = 0.00001;
  where.textContent = `${degreesInWords(latitude, step, "latitude")}, ${degreesInWords(longitude, step, "longitude")}`;
  if (!error || error.status === 404) {
    return [where, ...findingNodes(found, { language: state.language, text, layers: state.layers })];
  }
  const said = document.createElement("p");
  said.textContent = error.status === 501 ? text("infoUnavailable") : text(error.reason, { status: error.status });
  return [where, said];
}

/** Brings all words and settings of the page up to the state. */
function render() {
  showLayers(state, text, (id) => {
    choose(id);
    if (DRAWER.matches) setDrawer(false);
  });
  showChosen(state, text);
  showKeyBox(session, place, state.problem?.status === 401, text);
  const failed = document.body.dataset.state === "error";
  byId("problem").hidden = !failed;
  byId("layers").hidden = failed && !state.layers.length;
  if (failed) byId("problem-text").textContent = text(state.problem.reason, { status: state.problem.status });
  byId("problem-retry").hidden = state.problem?.status === 401;
  byId("layers-note").textContent = layersNote();
}

function layersNote() {
  if (document.body.dataset.state === "error") return "";
  if (!state.loaded) return text("loading");
  if (state.layers.length) return "";
  return text(session.withKey ? "noLayers" : "noPublicLayers");
}

/** Writes every fixed text of the page in the chosen language. */
function speak() {
  document.documentElement.lang = state.language;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
  for (const node of document.querySelectorAll("[data-hint]")) node.placeholder = text(node.dataset.hint);
  for (const node of document.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", text(node.dataset.label));
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === state.language));
  }
  map.relabel({ zoomIn: text("zoomIn"), zoomOut: text("zoomOut") });
  popup.close();
  showOpacity();
  showStatus();
  loadLegend();
  render();
}

function showOpacity() {
  byId("opacity-value").textContent = `${numberInWords(state.language, Number(byId("opacity").value))} %`;
}

function setDrawer(open) {
  const drawer = DRAWER.matches;
  document.body.classList.toggle("drawer-open", drawer && open);
  byId("panel").inert = drawer && !open;
  byId("backdrop").hidden = !(drawer && open);
  const toggle = byId("panel-toggle");
  toggle.setAttribute("aria-expanded", String(open));
  toggle.dataset.label = open ? "panelClose" : "panelOpen";
  toggle.setAttribute("aria-label", text(toggle.dataset.label));
}

/** The line can be drawn along by a pointer; by keys it goes with the slider of the panel. */
function bindLine() {
  const line = byId("swipe-line");
  line.addEventListener("pointerdown", (event) => line.setPointerCapture(event.pointerId));
  line.addEventListener("pointermove", (event) => {
    if (!line.hasPointerCapture(event.pointerId)) return;
    const { left, width } = byId("map").getBoundingClientRect();
    map.comparison.share = (event.clientX - left) / width;
  });
}

function bind() {
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      state.language = button.dataset.language;
      const address = new URL(location.href);
      address.searchParams.set("lang", state.language);
      history.replaceState(null, "", address);
      speak();
    });
  }
  for (const name of ["style", "time", "compare", "grid"]) {
    byId(name).addEventListener("change", () => {
      state.choice = { ...state.choice, [name]: byId(name).value };
      draw();
    });
  }
  byId("opacity").addEventListener("input", () => {
    map.setOpacity(Number(byId("opacity").value) / 100);
    showOpacity();
  });
  byId("swipe").addEventListener("input", () => {
    const share = Number(byId("swipe").value) / 100;
    map.comparison.stop();
    map.comparison.share = share;
    showComparison();
  });
  byId("flicker").addEventListener("click", () => {
    if (map.comparison.flickers) map.comparison.stop();
    else map.comparison.flicker();
    showComparison();
  });
  bindLine();
  byId("zoom-to-layer").addEventListener("click", () => {
    if (DRAWER.matches) setDrawer(false);
    map.fit();
  });
  byId("search").addEventListener("input", () => {
    state.search = byId("search").value;
    render();
  });
  byId("problem-retry").addEventListener("click", loadLayers);
  byId("panel-toggle").addEventListener("click", () => setDrawer(!document.body.classList.contains("drawer-open")));
  byId("backdrop").addEventListener("click", () => setDrawer(false));
  byId("map").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target === byId("map")) {
      event.preventDefault(); // or the same key stroke would press the popup's button
      askInfo(map.centre, true);
    }
    if (event.key === "Escape") popup.close();
  });
  byId("panel").addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !DRAWER.matches) return;
    setDrawer(false);
    byId("panel-toggle").focus();
  });
  DRAWER.addEventListener("change", () => setDrawer(false));
  bindCopyButtons(say);
  bindKeyBox(session, base, place, loadLayers);
}

bind();
setDrawer(false);
speak();
loadLayers();
