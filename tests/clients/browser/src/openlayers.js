/** OpenLayers as a portal would use it: `draw` shows one layer and resolves when its tiles are there. */

import Map from "ol/Map.js";
import View from "ol/View.js";
import WMTSCapabilities from "ol/format/WMTSCapabilities.js";
import TileLayer from "ol/layer/Tile.js";
import { register } from "ol/proj/proj4.js";
import WMTS, { optionsFromCapabilities } from "ol/source/WMTS.js";
import XYZ from "ol/source/XYZ.js";
import proj4 from "proj4";
import { definitions } from "viewer/projections.js";

for (const [code, { proj4: text }] of Object.entries(definitions)) proj4.defs(code, text);
register(proj4);

let map;

/** Loads tiles with headers; OpenLayers' own loader is an <img>, which can't send any. */
const withHeaders = (headers) => async (tile, address) => {
  const reply = await fetch(address, { headers });
  if (!reply.ok) return tile.setState(3);
  tile.getImage().src = URL.createObjectURL(await reply.blob());
};

/** Makes the source of a WMTS from its document; null where the document does not have the layer. */
async function wmtsSource({ address, headers, layer, grid, loading }) {
  const reply = await fetch(address, { headers });
  if (!reply.ok) return { status: reply.status, listed: [] };
  const capabilities = new WMTSCapabilities().read(await reply.text());
  const listed = (capabilities.Contents.Layer ?? []).map(({ Identifier }) => Identifier);
  const options = optionsFromCapabilities(capabilities, { layer, matrixSet: grid, format: "image/png" });
  return { status: reply.status, listed, source: options && new WMTS({ ...options, ...loading }) };
}

/** Shows a layer around a centre; tells what the document said and whether a tile failed. */
window.draw = async ({ door, address, headers, layer, grid, projection, center, resolution }) => {
  map?.setTarget(null);
  const loading = { transition: 0, interpolate: false, crossOrigin: "anonymous" };
  if (Object.keys(headers).length) loading.tileLoadFunction = withHeaders(headers);
  const { status, listed, source } =
    door === "wmts"
      ? await wmtsSource({ address, headers, layer, grid, loading })
      : { source: new XYZ({ url: address, maxZoom: 18, ...loading }) };
  if (!source) return { status, listed, drawn: false };
  let failed = 0;
  source.on("tileloaderror", () => (failed += 1));
  map = new Map({
    target: "map",
    controls: [],
    layers: [new TileLayer({ source })],
    view: new View({ projection, center, resolution, constrainResolution: false }),
  });
  await new Promise((resolve) => map.once("rendercomplete", resolve));
  const canvas = document.querySelector("#map canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const opaque = data.filter((value, place) => place % 4 === 3 && value > 0).length;
  return { status, listed, drawn: true, failed, opaque };
};
