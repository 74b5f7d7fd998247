/** Bundles the page of OpenLayers with the packages of the map page: node bundle.mjs OUTPUT */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "../../../server/viewer/node_modules/esbuild/lib/main.js";

const here = dirname(fileURLToPath(import.meta.url));
const viewer = join(here, "../../../server/viewer");

await build({
  entryPoints: [join(here, "src/openlayers.js")],
  outfile: process.argv[2],
  bundle: true,
  format: "esm",
  nodePaths: [join(viewer, "node_modules")],
  alias: { viewer: join(viewer, "src") },
  logLevel: "warning",
});
