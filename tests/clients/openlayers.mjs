/**
 * Reads WMTS capabilities with OpenLayers' own parser and writes the addresses of tiles it would ask for.
 *
 * node openlayers.mjs NODE_MODULES PROJECTIONS < document.json > tiles.json
 *
 * The document comes parsed, {name, namespace, attributes, children}: Node.js has no DOM, and what OpenLayers'
 * parser needs of one is little.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, projections] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(path));
const { default: WMTSCapabilities } = await load(join(modules, "ol/format/WMTSCapabilities.js"));
const { default: WMTS, optionsFromCapabilities } = await load(join(modules, "ol/source/WMTS.js"));
const { register } = await load(join(modules, "ol/proj/proj4.js"));
const { transform } = await load(join(modules, "ol/proj.js"));
const { default: proj4 } = await load(join(modules, "proj4/dist/proj4-src.js"));
const { definitions } = await load(projections);

const GROUND_METRES = 1.5;
const ELEMENT = 1;
const TEXT = 3;
globalThis.Node = { ELEMENT_NODE: ELEMENT, TEXT_NODE: TEXT, CDATA_SECTION_NODE: 4 };

/** Makes the nodes of a parsed element, as far as the parser walks them. */
function element({ name, namespace, attributes, children }) {
  const childNodes = children.map((child) =>
    typeof child === "string" ? { nodeType: TEXT, nodeValue: child } : element(child),
  );
  childNodes.forEach((node, place) => {
    node.nextSibling = childNodes[place + 1] ?? null;
    node.nextElementSibling = childNodes.slice(place + 1).find((next) => next.nodeType === ELEMENT) ?? null;
  });
  const attribute = (space, key) => attributes.find((one) => one[0] === space && one[1] === key)?.[2] ?? null;
  return {
    nodeType: ELEMENT,
    localName: name,
    namespaceURI: namespace,
    childNodes,
    firstChild: childNodes[0] ?? null,
    firstElementChild: childNodes.find((node) => node.nodeType === ELEMENT) ?? null,
    getAttribute: (key) => attribute("", key),
    getAttributeNS: attribute,
  };
}

/** Gives the tile in the middle of a layer, about as fine as its pixels. */
function middleTile(layer, choice, capabilities) {
  const options = optionsFromCapabilities(capabilities, choice);
  if (!options) return { ...choice, refused: true };
  const source = new WMTS(options);
  const grid = source.getTileGrid();
  const [west, south, east, north] = layer.WGS84BoundingBox;
  const middle = transform([(west + east) / 2, (south + north) / 2], "EPSG:4326", source.getProjection());
  const level = grid.getZForResolution(GROUND_METRES / source.getProjection().getMetersPerUnit());
  const tile = grid.getTileCoordForCoordAndZ(middle, level);
  return {
    ...choice,
    address: source.getTileUrlFunction()(tile, 1, source.getProjection()),
    extent: grid.getTileCoordExtent(tile),
    size: grid.getTileSize(level),
    sourceExtent: grid.getExtent(),
    encoding: source.getRequestEncoding(),
  };
}

for (const [code, { proj4: text }] of Object.entries(definitions)) proj4.defs(code, text);
register(proj4);
const capabilities = new WMTSCapabilities().read(element(JSON.parse(readFileSync(0, "utf8"))));
const tiles = capabilities.Contents.Layer.flatMap((layer) =>
  layer.TileMatrixSetLink.flatMap(({ TileMatrixSet: matrixSet }) =>
    layer.Style.map(({ Identifier: style }) =>
      middleTile(layer, { layer: layer.Identifier, matrixSet, style, format: "image/png" }, capabilities),
    ),
  ),
);
process.stdout.write(JSON.stringify(tiles));
