/** Two dates on one map: one on each side of a line, or the one after the other. */

import { getRenderPixel } from "ol/render.js";

/** How long a date is shown before the other; below three changes a second nobody is harmed. */
const FLICKER_MILLISECONDS = 900;

/** Cuts two drawn layers along an upright line, so that neither is seen through the other. */
export class Comparison {
  #map;
  #keys = [];
  #share = 0.5;
  #timer = 0;
  #onShare;

  /**
   * @param {import("ol/Map.js").default} map The map that both are on.
   * @param {(share: number) => void} onShare Told where the line is, from the left, 0 to 1.
   */
  constructor(map, onShare) {
    this.#map = map;
    this.#onShare = onShare;
  }

  /**
   * Begins to compare.
   * @param {import("ol/layer/Tile.js").default} first Shown left of the line.
   * @param {import("ol/layer/Tile.js").default} second Shown right of it.
   */
  begin(first, second) {
    this.end();
    this.#cut(first, () => [0, this.#share]);
    this.#cut(second, () => [this.#share, 1]);
    this.#tell();
  }

  /** Ends it; the layers are whole again. */
  end() {
    this.stop();
    for (const forget of this.#keys) forget();
    this.#keys = [];
  }

  /** @param {number} share Where the line is, from the left, 0 to 1. */
  set share(share) {
    this.#share = Math.min(1, Math.max(0, share));
    this.#tell();
  }

  get share() {
    return this.#share;
  }

  /** Whether the dates take turns now. */
  get flickers() {
    return this.#timer !== 0;
  }

  /** Lets the dates take turns. */
  flicker() {
    this.stop();
    this.share = 1;
    this.#timer = setInterval(() => {
      this.share = this.#share > 0.5 ? 0 : 1;
    }, FLICKER_MILLISECONDS);
  }

  /** Puts them side by side again. */
  stop() {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.share = 0.5;
  }

  #tell() {
    this.#onShare(this.#share);
    this.#map.render();
  }

  #cut(layer, sides) {
    const before = (event) => {
      const [width, height] = this.#map.getSize();
      const [left, right] = sides().map((part) => part * width);
      const corners = [[left, 0], [right, 0], [right, height], [left, height]];
      const { context } = event;
      context.save();
      context.beginPath();
      corners.map((corner) => getRenderPixel(event, corner)).forEach(([x, y], place) => {
        if (place) context.lineTo(x, y);
        else context.moveTo(x, y);
      });
      context.closePath();
      context.clip();
    };
    const after = (event) => event.context.restore();
    layer.on("prerender", before);
    layer.on("postrender", after);
    this.#keys.push(() => {
      layer.un("prerender", before);
      layer.un("postrender", after);
    });
  }
}
