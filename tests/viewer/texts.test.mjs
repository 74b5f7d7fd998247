/** Every text exists in both languages, is used, and the page holds nothing its policy forbids. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { chooseLanguage, dateInWords, inLanguage, translate } from "../../server/viewer/src/language.js";
import { texts } from "../../server/viewer/src/texts.js";

const viewer = new URL("../../server/viewer/", import.meta.url);
const read = (name) => readFileSync(new URL(name, viewer), "utf8");
const page = read("index.html");
const sources = readdirSync(new URL("src/", viewer))
  .filter((name) => name.endsWith(".js") && name !== "texts.js")
  .map((name) => read(`src/${name}`))
  .join("\n");

test("both languages have the same keys, none empty", () => {
  assert.deepEqual(Object.keys(texts.fr).sort(), Object.keys(texts.en).sort());
  for (const language of ["fr", "en"]) {
    for (const [key, text] of Object.entries(texts[language])) assert.ok(text.trim(), `${language}.${key}`);
  }
});

test("both languages fill in the same values", () => {
  const values = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  for (const key of Object.keys(texts.fr)) assert.deepEqual(values(texts.fr[key]), values(texts.en[key]), key);
});

test("every text that page and sources name exists", () => {
  const inPage = [...page.matchAll(/data-(?:text|label|hint)="([^"]+)"/g)].map(([, key]) => key);
  const inSources = [...sources.matchAll(/\btext\("(\w+)"/g)].map(([, key]) => key);
  const reasons = [...sources.matchAll(/"(error[A-Z]\w*)"/g)].map(([, key]) => key);
  assert.ok(inPage.length > 20 && inSources.length > 20 && reasons.length > 5);
  for (const key of [...inPage, ...inSources, ...reasons]) assert.ok(key in texts.fr, key);
});

test("every text is named somewhere", () => {
  for (const key of Object.keys(texts.fr)) {
    assert.ok(page.includes(`"${key}"`) || new RegExp(`["']${key}["']`).test(sources), `${key} is never shown`);
  }
});

test("every element the sources look for is in the page", () => {
  const ids = new Set([...page.matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id));
  for (const [, id] of sources.matchAll(/byId\("([\w-]+)"\)/g)) assert.ok(ids.has(id), id);
});

test("every control has a label", () => {
  const labelled = new Set([...page.matchAll(/<label[^>]*for="([^"]+)"/g)].map(([, id]) => id));
  for (const [tag, id] of page.matchAll(/<(?:select|input)\b[^>]*\bid="([^"]+)"[^>]*>/g)) {
    const wrapped = page.includes(`<label class="check">${tag}`);
    assert.ok(labelled.has(id) || wrapped, id);
  }
});

test("the page keeps its content security policy", () => {
  assert.doesNotMatch(page, /\sstyle=|<style|\son\w+=|javascript:/i);
  assert.doesNotMatch(page, /<script(?![^>]*\bsrc="app\.js")/);
  const addresses = [...page.matchAll(/\b(?:src|href)="([^"]+)"/g)].map(([, address]) => address);
  assert.ok(addresses.every((address) => /^(?:app\.|#|data:image\/svg\+xml,)/.test(address)), addresses.join(" "));
  assert.doesNotMatch(sources, /localStorage|innerHTML|insertAdjacentHTML|\beval\(|setAttribute\("style"/);
});

test("the lock file names versions and checksums, no registry", () => {
  const lock = JSON.parse(read("package-lock.json"));
  const packages = Object.entries(lock.packages).filter(([name]) => name);
  assert.ok(packages.length > 5);
  for (const [name, entry] of packages) {
    assert.ok(!("resolved" in entry), name);
    assert.ok(entry.integrity, name);
  }
  const wanted = JSON.parse(read("package.json"));
  for (const version of Object.values({ ...wanted.dependencies, ...wanted.devDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+$/);
  }
});

test("the language comes from the address, then from the browser", () => {
  assert.equal(chooseLanguage("?lang=en", ["fr-FR"]), "en");
  assert.equal(chooseLanguage("", ["fr-CA", "en"]), "fr");
  assert.equal(chooseLanguage("?lang=xx", ["de-DE", "fr"]), "fr");
  assert.equal(chooseLanguage("", ["de"]), "en");
  assert.equal(chooseLanguage("", []), "fr");
});

test("texts of the service fall back to the other language", () => {
  assert.equal(inLanguage("en", { fr: "Toulouse" }), "Toulouse");
  assert.equal(inLanguage("en", { fr: "Nuit", en: "Night" }), "Night");
  assert.equal(inLanguage("fr", undefined), "");
  assert.equal(translate("en", "layerCount", { count: 3 }), "Layers (3)");
  assert.throws(() => translate("fr", "nothing"), /no text "nothing" in fr/);
});

test("dates are written in words, in UTC", () => {
  assert.equal(dateInWords("en", "2017-08-31"), "31 August 2017");
  assert.equal(dateInWords("fr", "2017-08-01"), "1er août 2017");
  assert.equal(dateInWords("fr", "2017-08-31T00:00:00Z"), "31 août 2017");
  assert.match(dateInWords("en", "2017-08-31T23:59:00Z"), /^31 August 2017.*23:59 UTC$/);
  assert.equal(dateInWords("en", "2017-08-31/2017-09-01"), "31 August 2017 – 1 September 2017");
  assert.equal(dateInWords("en", "soon"), "soon");
});
