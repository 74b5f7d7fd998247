/** MapLibre as a portal would use it: `draw` shows one raster source and resolves when its tiles are there. */

import * as maplibre from "./maplibre-gl/maplibre-gl.mjs";

let map;

/** Waits for what a refused map comes to, for it may never be idle: to 404 MapLibre says nothing at all. */
async function refused(settled) {
  for (let quiet = 0, times = 0; quiet < 3; times += 1) {
    if (times > 200) throw new Error("neither idle nor refused");
    await new Promise((resolve) => setTimeout(resolve, 100));
    quiet = settled() ? quiet + 1 : 0;
  }
}

/** Shows a raster source around a centre; tells the statuses of what failed. */
window.draw = async ({ source, headers, center, zoom }) => {
  map?.remove();
  const failed = [];
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
    transformRequest: (url) => ({ url, headers }),
  });
  map.on("error", ({ error }) => failed.push(error.status ?? error.message));
  const idle = new Promise((resolve) => map.once("idle", resolve));
  await Promise.race([idle, refused(() => failed.length > 0 || map.areTilesLoaded())]);
  return { failed };
};
