/** Builds the page into dist/: index.html, app.js, app.css and the licences of what they contain. */

import { build } from "esbuild";
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "dist");

/** Names of the packages whose code ended up in the bundle. */
function bundledPackages(metafile) {
  const names = Object.values(metafile.outputs).flatMap((output) =>
    Object.entries(output.inputs)
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .map(([path]) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]),
  );
  return [...new Set(names.filter(Boolean))].sort();
}

/** The name, version and licence text of a package. */
async function licenceOf(name) {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((entry) => /^licen[sc]e/i.test(entry));
  const terms = file ? await readFile(join(folder, file), "utf8") : "";
  return `${name} ${version} (${license})\n\n${terms.trim()}\n`;
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.js" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
await copyFile(join(here, "index.html"), join(out, "index.html"));
const licences = await Promise.all(bundledPackages(metafile).map(licenceOf));
await writeFile(join(out, "licences.txt"), licences.join(`\n${"-".repeat(78)}\n\n`));

for (const name of (await readdir(out)).sort()) {
  const path = join(out, name);
  const packed = gzipSync(await readFile(path)).length;
  console.log(`${name}  ${((await stat(path)).size / 1000).toFixed(1)} kB, ${(packed / 1000).toFixed(1)} kB gzip`);
}
