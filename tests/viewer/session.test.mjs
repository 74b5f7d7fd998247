/** How the map page carries a key and what it says when the service refuses. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { maskedKey, reasonOf, RequestError, Session } from "../../server/viewer/src/session.js";

const KEY = "flx_demo_ab12cd34_secret";

/** A browser tab's storage. */
class Store {
  items = new Map();
  getItem(name) {
    return this.items.get(name) ?? null;
  }
  setItem(name, value) {
    this.items.set(name, value);
  }
  removeItem(name) {
    this.items.delete(name);
  }
}

/** A session whose service answers by a function, and the requests it got. */
function withService(answer, options = {}) {
  const requests = [];
  const session = new Session({
    key: "",
    keyInPath: false,
    store: null,
    wait: async (seconds) => requests.push({ waited: seconds }),
    fetch: async (address, request) => {
      requests.push({ address, ...request });
      return answer(address, request, requests);
    },
    ...options,
  });
  return { session, requests };
}

test("a key from the address goes into each address, once", async () => {
  const { session, requests } = withService(() => Response.json({ layers: [] }), { key: KEY });
  await session.open("http://h/layers");
  assert.equal(requests[0].address, `http://h/layers?key=${KEY}`);
  assert.equal(requests[0].credentials, "omit");
  assert.equal(session.address(`http://h/t/{z}?apikey=other&g=1`), `http://h/t/{z}?g=1&key=${KEY}`);
});

test("nobody sends no key, and a key in the path is left where it is", async () => {
  const anonymous = withService(() => Response.json({}));
  await anonymous.session.open("http://h/layers");
  assert.equal(anonymous.requests[0].address, "http://h/layers");
  assert.equal(anonymous.requests[0].credentials, "same-origin");
  const keyed = withService(() => Response.json({}), { keyInPath: true });
  await keyed.session.open("http://h/k/K/layers");
  assert.equal(keyed.requests[0].address, "http://h/k/K/layers");
  assert.ok(keyed.session.withKey);
});

test("a key that may not stand in addresses goes in a header", async () => {
  const { session, requests } = withService((address, request) =>
    request.headers["X-API-Key"] === KEY ? Response.json({ ok: 1 }) : new Response("", { status: 401 }),
  );
  session.use(` ${KEY} `, false);
  assert.deepEqual(await session.open("http://h/layers"), { ok: 1 });
  assert.equal(requests.length, 2);
  assert.equal(requests[1].address, "http://h/layers");
  assert.equal(session.address("http://h/t"), "http://h/t");
});

test("a wrong key is refused in words, and one that can't be a key isn't sent", async () => {
  const { session, requests } = withService(() => new Response("", { status: 401 }));
  session.use("wrong", false);
  await assert.rejects(session.open("http://h/layers"), { reason: "errorKey", status: 401 });
  const sent = requests.length;
  session.use("clé avec espaces", false);
  await assert.rejects(session.open("http://h/layers"), { reason: "errorKey" });
  assert.equal(requests.length, sent);
});

test("a key is remembered only when asked, and forgotten again", () => {
  const store = new Store();
  const { session } = withService(() => null, { store });
  session.use(KEY, false);
  assert.equal(store.items.size, 0);
  session.use(KEY, true);
  assert.equal(withService(() => null, { store }).session.key, KEY);
  assert.equal(withService(() => null, { store, keyInPath: true }).session.key, "");
  assert.equal(withService(() => null, { store, key: "other" }).session.key, "other");
  session.use("", false);
  assert.equal(store.items.size, 0);
});

test("a browser without storage still works", () => {
  const broken = () => {
    throw new Error("denied");
  };
  const store = { getItem: broken, setItem: broken, removeItem: broken };
  const { session } = withService(() => null, { store });
  session.use(KEY, true);
  assert.equal(session.key, KEY);
});

test("being told to come back is obeyed once, if it isn't long", async () => {
  const busy = () => new Response("", { status: 429, headers: { "Retry-After": "2" } });
  const served = withService((address, request, requests) => (requests.length > 1 ? new Response("ok") : busy()));
  assert.equal(await served.session.text("http://h/wmts"), "ok");
  assert.deepEqual(served.requests[1], { waited: 2 });
  const always = withService(busy);
  await assert.rejects(always.session.text("http://h/wmts"), { reason: "errorBusy", status: 429 });
  assert.equal(always.requests.length, 3);
  const long = withService(() => new Response("", { status: 503, headers: { "Retry-After": "600" } }));
  await assert.rejects(long.session.text("http://h/wmts"), { reason: "errorBusy" });
  assert.equal(long.requests.length, 1);
});

test("a picture that isn't there is nothing, a refused one is an error", async () => {
  const answering = (status) => withService(() => new Response(status === 204 ? null : "x", { status })).session;
  assert.equal(await answering(204).picture("http://h/t"), null);
  assert.equal(await answering(404).picture("http://h/t"), null);
  assert.equal((await answering(200).picture("http://h/t")).size, 1);
  await assert.rejects(answering(403).picture("http://h/t"), { reason: "errorForbidden" });
});

test("network failures and unreadable answers have names, an abort stays one", async () => {
  const down = withService(() => Promise.reject(new TypeError("Failed to fetch"))).session;
  await assert.rejects(down.json("http://h/layers"), { reason: "errorNetwork", status: 0 });
  const odd = withService(() => new Response("<html>")).session;
  await assert.rejects(odd.json("http://h/layers"), { reason: "errorAnswer" });
  const stopped = withService(() => Promise.reject(new DOMException("", "AbortError"))).session;
  await assert.rejects(stopped.json("http://h/layers"), (error) => !(error instanceof RequestError));
});

test("each status has its reason", () => {
  const reasons = [401, 403, 404, 429, 503, 500, 400].map((status) => reasonOf(status, true));
  assert.deepEqual(reasons, [
    "errorKey",
    "errorForbidden",
    "errorNotFound",
    "errorBusy",
    "errorBusy",
    "errorServer",
    "errorServer",
  ]);
  assert.equal(reasonOf(401, false), "errorNeedsKey");
});

test("a key is shown without its secret", () => {
  assert.equal(maskedKey(KEY), "flx_demo_ab12cd34_…");
  assert.ok(!maskedKey("a-secret-of-another-form").includes("secret"));
});
