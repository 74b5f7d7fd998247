/** What the page must know of tile grids: which it can draw, their names, and the levels worth asking. Pure. */

import { definitions } from "./projections.js";

const WEB_MERCATOR = "WebMercatorQuad";
const WORLD = "WorldCRS84Quad";
/** Metres per pixel of Web Mercator's level 0 at the equator, 256 px tiles. */
const MERCATOR_LEVEL_0 = 156543.03392804097;
/** Size of a pixel in the definition of a scale denominator, metres (OGC 07-057r7, 6.1). */
const STANDARD_PIXEL = 0.00028;

/**
 * Reads the EPSG code of a local grid from its id.
 * @param {string} grid Such as `2154_50cm`.
 * @returns {string} Such as `EPSG:2154`; empty for other ids.
 */
export function codeOfGrid(grid) {
  const match = /^(\d{4,5})_/.exec(grid);
  return match ? `EPSG:${match[1]}` : "";
}

/**
 * Keeps the grids that the page can draw, Web Mercator first, without the siblings of larger tiles (`_512`):
 * they show the same.
 * @param {readonly string[]} grids Ids as the layer offers them.
 */
export function drawableGrids(grids) {
  const drawable = grids.filter(
    (grid) =>
      grid === WEB_MERCATOR || grid === WORLD || (codeOfGrid(grid) in definitions && !grid.endsWith("_512")),
  );
  const rank = (grid) => (grid === WEB_MERCATOR ? 0 : grid === WORLD ? 2 : 1);
  return drawable.sort((a, b) => rank(a) - rank(b));
}

/**
 * Names a grid for people.
 * @param {string} grid Id of a drawable grid.
 * @param {(key: string, values?: Record<string, string>) => string} text Gives a text of the page.
 */
export function nameOfGrid(grid, text) {
  if (grid === WEB_MERCATOR) return text("gridWebMercator");
  if (grid === WORLD) return text("gridWorld");
  const code = codeOfGrid(grid);
  const resolution = grid.slice(grid.indexOf("_") + 1).replace(/^([\d.]+)(cm|m|km)$/, "$1\u00a0$2");
  return text("gridOf", { name: definitions[code].name, resolution, code });
}

/**
 * Leaves out the levels that the layer has nothing more to show in, so that the browser enlarges instead of
 * asking, and a preview isn't asked for detail it would be refused.
 * @param {{Identifier: string, ScaleDenominator: number}[]} matrices Levels of one grid, as capabilities say.
 * @param {string} grid Id of the grid.
 * @param {{minzoom?: number, maxzoom?: number, access?: string, extent: number[]}} layer Zooms are of Web
 *   Mercator; extent is west, south, east, north in degrees.
 * @returns {{Identifier: string, ScaleDenominator: number}[]} At least one level.
 */
export function usableMatrices(matrices, grid, layer) {
  if (layer.maxzoom === undefined || !layer.extent) return matrices;
  const finest = Math.min(...matrices.map((matrix) => matrix.ScaleDenominator));
  const floor = Math.max(finest, finestScale(matrices, grid, layer));
  const usable = matrices.filter((matrix) => matrix.ScaleDenominator >= floor);
  if (usable.length) return usable;
  return matrices.filter(
    (matrix) => matrix.ScaleDenominator === Math.max(...matrices.map((other) => other.ScaleDenominator)),
  );
}

/** The scale denominator of the finest level worth asking. */
function finestScale(matrices, grid, layer) {
  const equator = MERCATOR_LEVEL_0 / 2 ** layer.maxzoom;
  if (grid === WEB_MERCATOR) return (equator / STANDARD_PIXEL) * 0.999;
  const latitude = (layer.extent[1] + layer.extent[3]) / 2;
  const ground = (equator * Math.cos((latitude * Math.PI) / 180)) / STANDARD_PIXEL;
  if (layer.access === "preview") return ground * 0.999;
  // The first level at least as fine as the last one of Web Mercator, so that no detail is lost.
  const fineEnough = matrices.map((matrix) => matrix.ScaleDenominator).filter((scale) => scale <= ground * 1.001);
  return fineEnough.length ? Math.max(...fineEnough) : 0;
}

/**
 * Gives the map resolution above which the layer has no tiles to ask for.
 * @param {{minzoom?: number}} layer minzoom is of Web Mercator.
 * @returns {number} Metres per pixel at the equator; Infinity where every zoom has tiles.
 */
export function coarsestResolution(layer) {
  return layer.minzoom ? (MERCATOR_LEVEL_0 / 2 ** layer.minzoom) * 1.5 : Number.POSITIVE_INFINITY;
}
