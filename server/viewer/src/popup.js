/** The popup: what lies under a click, in words. */

import Overlay from "ol/Overlay.js";
import { byId, element } from "./dom.js";
import { dateInWords, inLanguage, numberInWords, sensorInWords } from "./language.js";

/** What a band shows, by STAC's common names; bands of other meanings keep their own names. */
const MEANINGS = {
  coastal: "bandCoastal",
  blue: "bandBlue",
  green: "bandGreen",
  yellow: "bandYellow",
  red: "bandRed",
  rededge: "bandRedEdge",
  nir: "bandNir",
  pan: "bandPan",
  elevation: "bandElevation",
};

/** Shows findings at a place of the map. */
export class Popup {
  /** @param {import("ol/Map.js").default} map The map it lies on. */
  constructor(map) {
    this.node = byId("popup");
    this.content = byId("popup-content");
    this.overlay = new Overlay({
      element: this.node,
      positioning: "bottom-center",
      offset: [0, -14],
      stopEvent: true,
      autoPan: { animation: { duration: 150 }, margin: 12 },
    });
    map.addOverlay(this.overlay);
    this.node.hidden = false;
    byId("popup-close").addEventListener("click", () => this.close());
    this.node.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  /** Takes it away; the keyboard goes back to the map. */
  close() {
    const focused = this.node.contains(document.activeElement);
    this.overlay.setPosition(undefined);
    if (focused) byId("map").focus();
  }

  /**
   * Shows something at a place.
   * @param {number[]} coordinate In the view's projection.
   * @param {Node[]} nodes What to show.
   */
  open(coordinate, nodes) {
    this.content.replaceChildren(...nodes);
    this.overlay.setPosition(coordinate);
    this.overlay.panIntoView({ animation: { duration: 150 }, margin: 12 });
  }
}

/**
 * Writes findings as lists of terms.
 * @param {ReturnType<typeof import("./answers.js").findings>} findings The topmost scene first.
 * @param {{language: string, text: (key: string) => string, layers: object[]}} words How to say it.
 * @returns {Node[]}
 */
export function findingNodes(findings, { language, text, layers }) {
  if (!findings.length) return [element("p", {}, text("infoNothing"))];
  return findings.map((finding) => {
    const layer = layers.find((one) => one.id === finding.layer);
    const rows = [
      [text("infoLayer"), layer ? inLanguage(language, layer.title) : finding.layer],
      [text("infoDate"), finding.date && dateInWords(language, finding.date)],
      [text("infoSensor"), sensorInWords(language, layer, finding.sensor)],
      [text("infoScene"), finding.scene],
      [text("infoLicence"), finding.licence],
      [text("attribution"), finding.credit],
    ].filter(([, value]) => value);
    const list = element("dl", {}, ...rows.flatMap(([name, value]) => [term(name), description(value)]));
    return element("section", {}, list, valueTable(finding.values, language, text));
  });
}

function term(name) {
  return element("dt", {}, name);
}

function description(value) {
  return element("dd", {}, value);
}

/** A band that is called by its meaning needs no second name. */
function bandInWords(name, words, meaning, text) {
  if (!words) return name;
  return name === meaning ? words : text("bandOf", { name, meaning: words });
}

function valueTable(values, language, text) {
  if (!values.length) return null;
  const rows = values.map(({ name, meaning, value, unit }) => {
    const band = bandInWords(name, MEANINGS[meaning] ? text(MEANINGS[meaning]) : "", meaning, text);
    const said = typeof value === "number" ? numberInWords(language, value) : (value ?? text("infoMasked"));
    return element("tr", {}, element("th", { scope: "row" }, band), element("td", {}, unit ? `${said} ${unit}` : `${said}`));
  });
  return element("table", {}, element("caption", {}, text("infoValues")), element("tbody", {}, ...rows));
}
