/** Turns capabilities into the source of a drawn layer. */

import WMTSCapabilities from "ol/format/WMTSCapabilities.js";
import WMTS, { optionsFromCapabilities } from "ol/source/WMTS.js";
import { rebased, withParameters } from "./addresses.js";
import { usableMatrices } from "./grids.js";

/** Formats that keep transparency, the smaller first. */
const FORMATS = ["image/webp", "image/png"];

/**
 * Reads a capabilities document.
 * @param {string} text XML.
 * @returns {object | null} null when it isn't one.
 */
export function parseCapabilities(text) {
  // Browsers style the error page of broken XML inline, which our policy refuses loudly.
  if (!/<(?:\w+:)?Capabilities[\s>]/.test(text)) return null;
  try {
    const capabilities = new WMTSCapabilities().read(text);
    return capabilities?.Contents?.TileMatrixSet ? capabilities : null;
  } catch {
    return null;
  }
}

/**
 * Makes the source of one layer.
 * @param {object} capabilities From parseCapabilities.
 * @param {{layer: object, style: string, time: string, grid: string}} choice time: empty for the default.
 * @param {{base: string, address: (address: string) => string}} place address: puts the key in.
 * @param {(tile: object, address: string) => void} tileLoadFunction How a tile gets its picture.
 * @returns {WMTS | null} null when the capabilities don't have this layer in this grid.
 */
export function createSource(capabilities, choice, place, tileLoadFunction) {
  const entry = capabilities.Contents.Layer?.find((layer) => layer.Identifier === choice.layer.id);
  const set = capabilities.Contents.TileMatrixSet.find((grid) => grid.Identifier === choice.grid);
  if (!entry || !set || !linksTo(entry, choice.grid)) return null;
  const options = optionsFromCapabilities(onlyOneFormat(capabilities, entry, set, choice), {
    layer: choice.layer.id,
    matrixSet: choice.grid,
    format: preferred(entry.Format, choice),
  });
  if (!options) return null;
  if (choice.style) options.style = choice.style;
  if (choice.time && "Time" in options.dimensions) options.dimensions.Time = choice.time;
  options.urls = options.urls.map((url) => servedAddress(url, options.requestEncoding, choice.layer, place));
  return new WMTS({ ...options, tileLoadFunction, transition: 150 });
}

function linksTo(entry, grid) {
  return entry.TileMatrixSetLink.some((link) => link.TileMatrixSet === grid);
}

/** A style of heights that are numbers says which formats it may have. */
function preferred(formats, choice) {
  const allowed = choice.layer.styles?.find(({ id }) => id === choice.style)?.formats ?? FORMATS;
  return allowed.find((format) => formats.includes(format)) ?? formats[0];
}

/** REST where there is a template: OpenLayers otherwise mixes the templates of all formats. */
function onlyOneFormat(capabilities, entry, set, choice) {
  const templates = (entry.ResourceURL ?? []).filter((resource) => resource.resourceType === "tile");
  const TileMatrixSet = [
    { ...set, TileMatrix: usableMatrices(set.TileMatrix, choice.grid, choice.layer) },
  ];
  if (!templates.length) return { ...capabilities, Contents: { Layer: [entry], TileMatrixSet } };
  const format = preferred(templates.map((template) => template.format), choice);
  const ResourceURL = templates.filter((template) => template.format === format);
  return { Contents: { Layer: [{ ...entry, ResourceURL }], TileMatrixSet } };
}

/** `g`, the generation of the layer, lets the browser keep a tile without asking again. */
function servedAddress(url, encoding, layer, place) {
  const address = place.address(rebased(url, place.base));
  return encoding === "REST" ? withParameters(address, { g: layer.generation }) : address;
}

/**
 * Finds the pixel of a tile that a place on the map falls into.
 * @param {WMTS} source A drawn source.
 * @param {number[]} coordinate In the source's projection.
 * @param {number} resolution Of the view, map units per pixel.
 * @returns {{style: string, format: string, grid: string, matrix: string, row: number, column: number,
 *   i: number, j: number, time: string}} What featureInfoAddress asks besides the layer.
 */
export function pixelAt(source, coordinate, resolution) {
  const tiles = source.getTileGrid();
  const level = tiles.getZForResolution(resolution);
  const tile = tiles.getTileCoordForCoordAndZ(coordinate, level);
  const [left, , , top] = tiles.getTileCoordExtent(tile);
  const pixel = tiles.getResolution(level);
  const size = [tiles.getTileSize(level)].flat();
  const within = (distance, length) => Math.min(length - 1, Math.max(0, Math.floor(distance / pixel)));
  return {
    style: source.getStyle(),
    format: source.getFormat(),
    grid: source.getMatrixSet(),
    matrix: tiles.getMatrixId(level),
    column: tile[1],
    row: tile[2],
    i: within(coordinate[0] - left, size[0]),
    j: within(top - coordinate[1], size.at(-1)),
    time: source.getDimensions().Time ?? "",
  };
}
