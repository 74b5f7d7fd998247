/** MapLibre as a portal would use it: `draw` shows one raster source and resolves when its tiles are there. */

import * as maplibre from "./maplibre-gl/maplibre-gl.mjs";

let map;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until something holds, three looks in a row. */
async function until(holds) {
  for (let quiet = 0, times = 0; quiet < 3; times += 1) {
    if (times > 700) throw new Error("nothing came of it");
    await pause(30);
    quiet = holds() ? quiet + 1 : 0;
  }
}

/**
 * Shows a raster source around a centre; tells the statuses of what failed.
 *
 * A map that is refused may never be idle, and says nothing at all of a 404: then what was asked for counts.
 */
window.draw = async ({ source, headers, center, zoom, refused }) => {
  map?.remove();
  const failed = [];
  let tiles = 0;
  let idle = false;
  map = new maplibre.Map({
    container: "map",
    style: {
      version: 8,
      sources: { flux: { type: "raster", tileSize: 256, ...source } },
      layers: [{ id: "flux", type: "raster", source: "flux", paint: { "raster-fade-duration": 0 } }],
    },
    center,
    zoom,
    attributionControl: false,
    fadeDuration: 0,
    interactive: false,
    transformRequest: (url, kind) => {
      tiles += kind === "Tile";
      return { url, headers };
    },
  });
  map.once("idle", () => (idle = true));
  map.on("error", ({ error }) => failed.push(error.status ?? error.message));
  await until(() => (refused ? failed.length > 0 || (tiles > 0 && map.areTilesLoaded()) : idle));
  return { failed, tiles };
};
