/** What the map page makes of the service's answers: lists, feature info, grids. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { datesOf, findings, matchingLayers, unfolded } from "../../server/viewer/src/answers.js";
import { coarsestResolution, codeOfGrid, drawableGrids, nameOfGrid, usableMatrices } from "../../server/viewer/src/grids.js";
import { translate } from "../../server/viewer/src/language.js";
import { definitions } from "../../server/viewer/src/projections.js";

const LAYERS = [
  { id: "a", title: { fr: "Forêt d’Orléans", en: "Orléans forest" }, sensors: ["pleiades"], sensor_titles: { pleiades: { fr: "Pléiades" } } },
  { id: "b", title: { fr: "Nuit", en: "Night" }, sensors: ["jilin-1"] },
];

/** Levels with exact factor 2, the coarsest first. */
function levels(count, finest) {
  return Array.from({ length: count }, (_, index) => ({
    Identifier: String(index),
    ScaleDenominator: (finest * 2 ** (count - 1 - index)) / 0.00028,
  }));
}

const names = (matrices) => matrices.map((matrix) => matrix.Identifier);

test("the search ignores accents and case and wants every word", () => {
  const found = (search) => matchingLayers(LAYERS, search).map((layer) => layer.id);
  assert.deepEqual(found("foret PLEIADES"), ["a"]);
  assert.deepEqual(found("night"), ["b"]);
  assert.deepEqual(found("night pleiades"), []);
  assert.deepEqual(found("  "), ["a", "b"]);
});

test("the most recent date comes first and the list itself is left alone", () => {
  const times = ["2017-08-31", "2023-01-02", "2019-05-05"];
  assert.deepEqual(datesOf(times), ["2023-01-02", "2019-05-05", "2017-08-31"]);
  assert.equal(times[0], "2017-08-31");
  assert.deepEqual(datesOf(undefined), []);
});

test("an extent across the antimeridian is unfolded", () => {
  assert.deepEqual(unfolded([179, -15, -174, -9]), [179, -15, 186, -9]);
  assert.deepEqual(unfolded([1, 2, 3, 4]), [1, 2, 3, 4]);
});

test("feature info is read whole, and what is missing stays empty", () => {
  const answer = {
    type: "FeatureCollection",
    features: [
      {
        id: "S1",
        properties: { datetime: "2017-08-31T10:42:19Z", sensor: "Pléiades 1A", values: { B1: 0, B2: null } },
      },
      { properties: { scene: "S2", date: "2016-01-01", bands: [{ name: "Z", common_name: "elevation", value: 12.5, unit: "m" }, 7] } },
    ],
  };
  assert.deepEqual(findings(answer), [
    {
      scene: "S1",
      layer: "",
      date: "2017-08-31T10:42:19Z",
      sensor: "Pléiades 1A",
      licence: "",
      credit: "",
      values: [
        { name: "B1", meaning: "", value: 0, unit: "" },
        { name: "B2", meaning: "", value: null, unit: "" },
      ],
    },
    {
      scene: "S2",
      layer: "",
      date: "2016-01-01",
      sensor: "",
      licence: "",
      credit: "",
      values: [
        { name: "Z", meaning: "elevation", value: 12.5, unit: "m" },
        { name: "2", meaning: "", value: 7, unit: "" },
      ],
    },
  ]);
  assert.deepEqual(findings({ features: [] }), []);
  assert.deepEqual(findings(null), []);
});

test("only grids the page can draw are offered, Web Mercator first", () => {
  const offered = ["WorldCRS84Quad", "2154_50cm", "9999_1m", "Unknown", "WebMercatorQuad"];
  assert.deepEqual(drawableGrids(offered), ["WebMercatorQuad", "2154_50cm", "WorldCRS84Quad"]);
  assert.equal(codeOfGrid("2154_50cm"), "EPSG:2154");
  assert.equal(codeOfGrid("WebMercatorQuad"), "");
  const text = (key, values) => translate("fr", key, values);
  assert.equal(nameOfGrid("2154_50cm", text), "Lambert-93, 50\u00a0cm (EPSG:2154)");
});

test("Web Mercator levels stop at the layer's finest zoom", () => {
  const all = levels(25, 156543.03392804097 / 2 ** 24);
  const layer = { maxzoom: 18, extent: [1, 43, 2, 44] };
  assert.equal(names(usableMatrices(all, "WebMercatorQuad", layer)).at(-1), "18");
  assert.equal(usableMatrices(all, "WebMercatorQuad", { extent: [0, 0, 1, 1] }).length, 25);
});

test("local levels reach the same detail: at least for full access, at most for a preview", () => {
  // Zoom 18 is 0.597 m at the equator, 0.43 m on the ground at 43.5 degrees north.
  const all = levels(17, 0.05 * 2 ** 0);
  const resolutions = (access) =>
    usableMatrices(all, "2154_5cm", { maxzoom: 18, access, extent: [1, 43, 2, 44] }).map(
      (matrix) => matrix.ScaleDenominator * 0.00028,
    );
  assert.ok(Math.abs(Math.min(...resolutions("full")) - 0.4) < 1e-9);
  assert.ok(Math.abs(Math.min(...resolutions("preview")) - 0.8) < 1e-9);
});

test("a grid that is too fine as a whole keeps its coarsest level", () => {
  const layer = { maxzoom: 2, access: "preview", extent: [1, 43, 2, 44] };
  assert.deepEqual(names(usableMatrices(levels(3, 0.5), "2154_50cm", layer)), ["0"]);
});

test("below its least zoom a layer isn't asked for", () => {
  assert.equal(coarsestResolution({ minzoom: 0 }), Number.POSITIVE_INFINITY);
  assert.ok(coarsestResolution({ minzoom: 10 }) > 156543.04 / 2 ** 10);
  assert.ok(coarsestResolution({ minzoom: 10 }) < 156543.03 / 2 ** 9);
});

test("projections of the territories are defined", () => {
  for (const code of [2154, 9794, 3948, 9848, 5490, 2972, 2975, 4471, 4467, 3163, 3297, 8903, 32631, 32738]) {
    assert.ok(definitions[`EPSG:${code}`], String(code));
  }
  assert.match(definitions["EPSG:3948"].proj4, /lat_0=48 .*lat_1=47\.25 \+lat_2=48\.75 .*y_0=7200000/);
  assert.match(definitions["EPSG:2975"].proj4, /\+zone=40 \+south/);
});
