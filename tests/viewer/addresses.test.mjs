/** Addresses the map page asks for and shows. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  baseAddress,
  capabilitiesAddress,
  carriesKey,
  choiceOf,
  featureInfoAddress,
  fragmentOf,
  keyInQuery,
  legendAddress,
  placeOf,
  rebased,
  sharedAddresses,
  withParameters,
} from "../../server/viewer/src/addresses.js";

const TEMPLATE = "wmts/1.0.0/toulouse/{Style}/{Time}/{TileMatrixSet}/{TileMatrix}/{TileRow}/{TileCol}.webp";

test("the base is the page's folder, whatever prefix, query or fragment", () => {
  assert.equal(baseAddress("http://h:8000/?key=a#layer=b"), "http://h:8000/");
  assert.equal(baseAddress("https://h/sig/flux/k/KEY/?lang=en"), "https://h/sig/flux/k/KEY/");
  assert.equal(baseAddress("https://h/public/index.html"), "https://h/public/");
});

test("the place tells whether the key is in the path or credentials are ignored", () => {
  assert.equal(placeOf("https://h/sig/k/flx_x_y_z/"), "keyed");
  assert.equal(placeOf("https://h/sig/public/"), "public");
  assert.equal(placeOf("https://h/sig/"), "open");
  assert.equal(placeOf("https://h/k/"), "open");
});

test("a key is found under every name the service takes", () => {
  for (const name of ["key", "api_key", "apikey", "authkey"]) {
    assert.equal(keyInQuery(`?lang=fr&${name}=flx_a%2Bb`), "flx_a+b");
  }
  assert.equal(keyInQuery("?lang=fr&key="), "");
});

test("parameters are added once and braces stay", () => {
  assert.equal(withParameters("/t/{z}/{x}/{y}?key=k", { style: "a b" }), "/t/{z}/{x}/{y}?key=k&style=a%20b");
  assert.equal(withParameters("/t?style=old&key=k", { style: "new" }), "/t?key=k&style=new");
  assert.equal(withParameters("/t", { style: "", time: undefined }), "/t");
  assert.equal(withParameters("/t?a=1#f", { b: "2" }), "/t?a=1&b=2#f");
});

test("templates move below the page's own base", () => {
  const base = "https://gateway/sig/flux/";
  assert.equal(rebased(`http://inside:8000/${TEMPLATE}?key=k`, base), `${base}${TEMPLATE}?key=k`);
  assert.equal(rebased(`http://inside/wmts/site/k/K/${TEMPLATE}`, base), `${base}${TEMPLATE}`);
  const named = "wmts/1.0.0/wmts/default/default/PM/1/0/0.png";
  assert.equal(rebased(`http://inside/${named}`, base), `${base}${named}`);
  assert.equal(rebased("http://inside/preview/toulouse.webp?key=k", base), `${base}preview/toulouse.webp?key=k`);
  assert.equal(rebased("http://inside/wmts", base), `${base}wmts`);
  assert.equal(rebased("http://inside/other/1", base), "http://inside/other/1");
});

test("a legend is asked below the base, in the page's language", () => {
  const wanted = { layer: "toulouse", style: "ndvi", language: "en", width: 300 };
  assert.equal(legendAddress("https://h/k/KEY/", wanted), "https://h/k/KEY/legend/toulouse/ndvi.svg?lang=en&width=300");
  assert.match(legendAddress("https://h/", { ...wanted, style: "" }), /\/toulouse\/default\.svg\?/);
});

test("capabilities and feature info are asked below the base", () => {
  assert.equal(
    capabilitiesAddress("http://h/p/"),
    "http://h/p/wmts?service=WMTS&request=GetCapabilities&version=1.0.0",
  );
  const question = {
    layer: "toulouse",
    style: "natural",
    format: "image/webp",
    grid: "2154_50cm",
    matrix: "12",
    row: 5,
    column: 0,
    i: 255,
    j: 0,
  };
  const asked = new URL(featureInfoAddress("http://h/p/k/K/", question));
  assert.equal(asked.pathname, "/p/k/K/wmts");
  assert.deepEqual(Object.fromEntries(asked.searchParams), {
    service: "WMTS",
    request: "GetFeatureInfo",
    version: "1.0.0",
    layer: "toulouse",
    style: "natural",
    format: "image/webp",
    tilematrixset: "2154_50cm",
    tilematrix: "12",
    tilerow: "5",
    tilecol: "0",
    i: "255",
    j: "0",
    infoformat: "application/json",
  });
  const dated = new URL(featureInfoAddress("http://h/", { ...question, time: "2017-08-31" }));
  assert.equal(dated.searchParams.get("time"), "2017-08-31");
});

test("addresses to copy carry the choice, not the defaults", () => {
  const layer = {
    styles: [{ id: "natural" }, { id: "ndvi" }],
    links: [
      { rel: "xyz", href: "https://h/tiles/t/WebMercatorQuad/{z}/{x}/{y}?key=k" },
      { rel: "wmts", href: "https://h/wmts?key=k" },
    ],
  };
  assert.deepEqual(sharedAddresses(layer, { style: "natural", time: "" }), {
    wmts: "https://h/wmts?key=k",
    xyz: "https://h/tiles/t/WebMercatorQuad/{z}/{x}/{y}?key=k",
    tilejson: "",
  });
  assert.equal(
    sharedAddresses(layer, { style: "ndvi", time: "2017-08-31" }).xyz,
    "https://h/tiles/t/WebMercatorQuad/{z}/{x}/{y}?key=k&style=ndvi&time=2017-08-31",
  );
  assert.deepEqual(sharedAddresses({}, {}), { wmts: "", xyz: "", tilejson: "" });
});

test("a key in an address is seen in the query and in the path", () => {
  assert.ok(carriesKey("https://h/wmts?key=k"));
  assert.ok(carriesKey("https://h/k/K/wmts"));
  assert.ok(!carriesKey("https://h/wmts?monkey=k"));
  assert.ok(!carriesKey("https://h/tiles/k"));
});

test("the fragment keeps the choice and gives it back", () => {
  const choice = { layer: "a.b-1:Scène", style: "ndvi", time: "2017-08-31", compare: "2023-04-02", grid: "" };
  assert.deepEqual(choiceOf(fragmentOf(choice)), choice);
  assert.equal(fragmentOf({ layer: "" }), "");
});
