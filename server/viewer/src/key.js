/** The key box: asks for a key where the address has none, and forgets it again. */

import { KEY_PARAMETERS } from "./addresses.js";
import { byId } from "./dom.js";
import { maskedKey } from "./session.js";

/**
 * Shows the box as it stands.
 * @param {import("./session.js").Session} session Who asks.
 * @param {"keyed" | "public" | "open"} place From addresses.placeOf.
 * @param {boolean} refused Whether the key did not open anything.
 * @param {(key: string, values?: object) => string} text Gives a text of the page.
 */
export function showKeyBox(session, place, refused, text) {
  const used = Boolean(session.key);
  byId("key-box").hidden = place === "keyed" && !refused;
  byId("key-form").hidden = used || place !== "open";
  byId("key-used").hidden = !used || place !== "open";
  byId("key-used-text").textContent = text("keyUsed", { key: maskedKey(session.key) });
  byId("key-public").hidden = place === "open";
  byId("key-public-text").hidden = place !== "public";
}

/**
 * Makes the box work.
 * @param {import("./session.js").Session} session Takes the key.
 * @param {string} base Base address of the page.
 * @param {"keyed" | "public" | "open"} place From addresses.placeOf.
 * @param {() => void} onChange Called after the key has changed.
 */
export function bindKeyBox(session, base, place, onChange) {
  byId("key-elsewhere").href = new URL(place === "keyed" ? "../.." : "..", base).href;
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    session.use(byId("key").value, byId("key-remember").checked);
    byId("key").value = "";
    forgetInAddress();
    onChange();
  });
  byId("key-forget").addEventListener("click", () => {
    session.use("", false);
    forgetInAddress();
    onChange();
    byId("key").focus();
  });
}

/** A key of the page's own address gives way to the one that was typed. */
function forgetInAddress() {
  const address = new URL(location.href);
  for (const name of KEY_PARAMETERS) address.searchParams.delete(name);
  history.replaceState(null, "", address);
}
