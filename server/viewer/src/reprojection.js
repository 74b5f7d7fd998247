/** Teaches OpenLayers the projected systems that a layer's grids need, when they are needed. */

import { addCoordinateTransforms, addProjection, get as getProjection } from "ol/proj.js";
import Projection from "ol/proj/Projection.js";
// Only the parts of proj4 that these systems use: the whole is four times as large.
import proj4 from "proj4/lib/core.js";
import Proj from "proj4/lib/Proj.js";
import lambertConformalConic from "proj4/lib/projections/lcc.js";
import transverseMercator from "proj4/lib/projections/utm.js";
import { codeOfGrid } from "./grids.js";
import { definitions } from "./projections.js";

const DEGREES = "EPSG:4326";

Proj.projections.add(lambertConformalConic);
Proj.projections.add(transverseMercator);

/**
 * Makes a grid's projection known.
 * @param {string} grid Id of a drawable grid; those of OpenLayers' own projections need nothing.
 */
export function registerGrid(grid) {
  const code = codeOfGrid(grid);
  if (!code || getProjection(code)) return;
  const { forward, inverse } = proj4("+proj=longlat +datum=WGS84 +no_defs", definitions[code].proj4);
  const projection = new Projection({ code, units: "m" });
  addProjection(projection);
  // proj4 writes into what it is given; OpenLayers keeps its own coordinates.
  addCoordinateTransforms(
    DEGREES,
    projection,
    (coordinate) => forward(coordinate.slice()),
    (coordinate) => inverse(coordinate.slice()),
  );
}
