/** Who asks: keeps the caller's key, puts it on requests and turns failures into facts with a name. */

import { KEY_PARAMETERS, withParameters } from "./addresses.js";

const STORE_NAME = "dinamis-flux-key";
const LONGEST_WAIT_SECONDS = 5;

/** A request that failed; `reason` names a text of the page. */
export class RequestError extends Error {
  /**
   * @param {string} reason One of errorKey, errorNeedsKey, errorForbidden, errorNotFound, errorBusy,
   *   errorServer, errorNetwork, errorAnswer.
   * @param {number} [status] HTTP status; 0 when there was no answer.
   */
  constructor(reason, status = 0) {
    super(reason);
    this.name = "RequestError";
    this.reason = reason;
    this.status = status;
  }
}

/**
 * Names the reason of an HTTP status.
 * @param {number} status 400 or more.
 * @param {boolean} withKey Whether a key was sent.
 */
export function reasonOf(status, withKey) {
  if (status === 401) return withKey ? "errorKey" : "errorNeedsKey";
  if (status === 403) return "errorForbidden";
  if (status === 404) return "errorNotFound";
  return status === 429 || status === 503 ? "errorBusy" : "errorServer";
}

/**
 * Hides the secret of a key: `flx_live_ab12cd34_…`.
 * @param {string} key The whole key.
 */
export function maskedKey(key) {
  const parts = key.split("_");
  return parts.length === 4 ? `${parts.slice(0, 3).join("_")}_…` : "••••••••";
}

/** The caller's credential and the requests made with it. */
export class Session {
  /**
   * @param {{key: string, keyInPath: boolean, store: Storage | null, fetch: typeof fetch,
   *   wait?: (seconds: number) => Promise<void>}} options store: where a key may be remembered for this tab.
   */
  constructor({ key, keyInPath, store, fetch, wait = pause }) {
    this.store = store;
    this.fetch = fetch;
    this.wait = wait;
    this.keyInPath = keyInPath;
    this.key = key || (keyInPath ? "" : this.#remembered());
    /** False for a key that may not stand in addresses: it then goes in a header. */
    this.inAddress = true;
  }

  #remembered() {
    try {
      return this.store?.getItem(STORE_NAME) ?? "";
    } catch {
      return "";
    }
  }

  /**
   * Takes a key the user typed.
   * @param {string} key Any text.
   * @param {boolean} remember Whether to keep it until the tab is closed.
   */
  use(key, remember) {
    this.key = key.trim();
    this.inAddress = true;
    try {
      this.store?.removeItem(STORE_NAME);
      if (remember && this.key) this.store?.setItem(STORE_NAME, this.key);
    } catch {
      // A browser without storage still works, it only forgets.
    }
  }

  /** Whether a key goes with the requests, in whatever form. */
  get withKey() {
    return Boolean(this.key) || this.keyInPath;
  }

  /**
   * Puts the key into an address of ours.
   * @param {string} address Absolute address or template.
   */
  address(address) {
    if (!this.key || !this.inAddress) return address;
    const aliases = new Set(KEY_PARAMETERS);
    const [path, query = ""] = address.split("?");
    const others = query.split("&").filter((part) => part && !aliases.has(part.split("=")[0]));
    return withParameters(path + (others.length ? `?${others.join("&")}` : ""), { key: this.key });
  }

  /**
   * Asks for the first thing with this key and finds out how the key may travel.
   *
   * A key that the service refuses in an address is tried once in a header: some keys are only for headers.
   * @param {string} address Absolute address.
   * @returns {Promise<any>} The JSON answer.
   */
  async open(address) {
    if (this.key && !/^[\x21-\x7e]+$/.test(this.key)) throw new RequestError("errorKey", 401);
    this.inAddress = true;
    try {
      return await this.json(address);
    } catch (error) {
      if (!this.key || error.status !== 401) throw error;
      this.inAddress = false;
      return await this.json(address);
    }
  }

  /** @param {string} address Absolute address. @param {AbortSignal} [signal] Stops it. */
  async json(address, signal) {
    const text = await this.#body(await this.ask(address, signal, "application/json"), "text");
    try {
      return JSON.parse(text);
    } catch {
      throw new RequestError("errorAnswer");
    }
  }

  /** @param {string} address Absolute address. */
  async text(address) {
    return this.#body(await this.ask(address), "text");
  }

  /**
   * Gets a picture.
   * @param {string} address Absolute address.
   * @param {AbortSignal} [signal] Stops it.
   * @returns {Promise<Blob | null>} null where the service says there is nothing (204 or 404).
   */
  async picture(address, signal) {
    try {
      const answer = await this.ask(address, signal, "image/*");
      return answer.status === 204 ? null : await this.#body(answer, "blob");
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  }

  /**
   * Sends a request; one that is told to come back later does so, once.
   * @param {string} address Absolute address.
   * @param {AbortSignal} [signal] Stops it.
   * @param {string} [accept] Media type.
   * @returns {Promise<Response>} An answer below 400.
   * @throws {RequestError} For everything else, except an abort.
   */
  async ask(address, signal, accept = "*/*") {
    let answer = await this.#send(address, signal, accept);
    const seconds = Number(answer.headers.get("Retry-After") ?? NaN);
    if ([429, 503].includes(answer.status) && seconds <= LONGEST_WAIT_SECONDS) {
      await this.wait(seconds);
      answer = await this.#send(address, signal, accept);
    }
    if (answer.ok) return answer;
    throw new RequestError(reasonOf(answer.status, this.withKey), answer.status);
  }

  async #send(address, signal, accept) {
    const headers = { Accept: accept };
    if (this.key && !this.inAddress) headers["X-API-Key"] = this.key;
    // With a key of its own the page sends no cookie, and a refused key never opens the browser's login box.
    const credentials = this.withKey ? "omit" : "same-origin";
    return orNetworkError(this.fetch(this.address(address), { headers, credentials, signal }));
  }

  /** Reads an answer's body; a connection cut within it is a network error too. */
  #body(answer, form) {
    return orNetworkError(answer[form]());
  }
}

async function orNetworkError(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError("errorNetwork");
  }
}

function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
