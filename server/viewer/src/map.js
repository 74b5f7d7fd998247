/** The map: its projections, the one drawn layer, and when everything in view has come. */

import ScaleLine from "ol/control/ScaleLine.js";
import Zoom from "ol/control/Zoom.js";
import { defaults as defaultInteractions } from "ol/interaction/defaults.js";
import TileLayer from "ol/layer/Tile.js";
import OlMap from "ol/Map.js";
import { get as getProjection, getPointResolution, transform, transformExtent } from "ol/proj.js";
import TileState from "ol/TileState.js";
import View from "ol/View.js";
import { unfolded } from "./answers.js";
import { Comparison } from "./comparison.js";
import { createGraticule } from "./graticule.js";
import { coarsestResolution } from "./grids.js";
import { registerGrid } from "./reprojection.js";
import { createSource } from "./wmts.js";

const WEB_MERCATOR = "EPSG:3857";
const DEGREES = "EPSG:4326";
/** Metropolitan France, west, south, east, north: what is shown before anything is chosen. */
const FIRST_EXTENT = [-5.5, 41, 10, 51.5];
/** A view is kept when the next layer covers its centre and isn't smaller than this there, CSS pixels. */
const KEEP_VIEW_PIXELS = 120;
/** Nor is it kept where the next layer's finest pixels would be enlarged more than this. */
const KEEP_VIEW_ENLARGED = 8;

/**
 * Makes the map in an element.
 * @param {HTMLElement} target Where it goes.
 * @param {{loadPicture: (address: string, signal: AbortSignal) => Promise<Blob | null>,
 *   degreesInWords: (degrees: number, step: number, axis: string) => string,
 *   onState: (state: "loading" | "ready") => void, onTileError: (error: Error) => void,
 *   onMove: () => void, onClick: (coordinate: number[]) => void, onShare: (share: number) => void}} options
 *   What it needs and tells.
 */
export function createMap(target, options) {
  return new FluxMap(target, options);
}

class FluxMap {
  #current = null;
  /** The same layer at the date that is compared, or null. */
  #other = null;
  #opacity = 1;
  /** Whether anything was drawn yet: before, nobody looks at a place that could be kept. */
  #used = false;
  #extent = null;
  #abort = new AbortController();

  constructor(target, options) {
    this.options = options;
    this.graticule = createGraticule({ label: options.degreesInWords, outline: () => this.#extent });
    this.map = new OlMap({
      target,
      layers: this.graticule,
      controls: [new Zoom(), new ScaleLine({ minWidth: 80 })],
      interactions: defaultInteractions({ altShiftDragRotate: false, pinchRotate: false }),
      view: viewIn(getProjection(WEB_MERCATOR)),
    });
    this.comparison = new Comparison(this.map, options.onShare);
    this.#fit(FIRST_EXTENT);
    this.map.on("rendercomplete", (event) => {
      const drawn = event.frameState?.layerStatesArray.some((state) => state.layer === this.#current);
      if (drawn) options.onState("ready");
    });
    this.map.on("moveend", () => {
      this.#tellView(target);
      options.onMove();
    });
    this.map.on("singleclick", (event) => options.onClick(event.coordinate));
  }

  /**
   * Draws a layer instead of the one before.
   * @param {object} capabilities From wmts.js.
   * @param {{layer: object, style: string, time: string, grid: string, compare: string}} choice What to draw;
   *   compare: the date right of the line, empty for none.
   * @param {{base: string, address: (address: string) => string}} place Where it is served.
   * @returns {boolean} False when the capabilities don't have it; then nothing is drawn.
   */
  show(capabilities, choice, place) {
    this.clear();
    registerGrid(choice.grid);
    const source = createSource(capabilities, choice, place, this.#tileLoader());
    this.outline(choice.layer.extent ?? null);
    if (!source) return false;
    this.options.onState("loading");
    this.#project(source.getProjection());
    source.on("tileloadstart", () => this.options.onState("loading"));
    this.#current = this.#add(source, choice);
    if (choice.compare) {
      const other = createSource(capabilities, { ...choice, time: choice.compare }, place, this.#tileLoader());
      other.on("tileloadstart", () => this.options.onState("loading"));
      this.#other = this.#add(other, choice);
      this.comparison.begin(this.#current, this.#other);
    }
    if (!this.#used) this.fit();
    else if (this.#extent) this.#keepOrFit(this.#extent, source.getTileGrid());
    this.#used = true;
    return true;
  }

  #add(source, choice) {
    const layer = new TileLayer({
      source,
      opacity: this.#opacity,
      extent: this.#extent ? askedExtent(this.#extent, source.getProjection()) : undefined,
      maxResolution: coarsestResolution(choice.layer) / source.getProjection().getMetersPerUnit(),
    });
    this.map.addLayer(layer);
    return layer;
  }

  /** Takes what is drawn away and drops its requests. */
  clear() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.comparison.end();
    for (const layer of [this.#current, this.#other]) if (layer) this.map.removeLayer(layer);
    this.#current = null;
    this.#other = null;
  }

  /** @param {number[] | null} extent West, south, east, north in degrees, outlined on the ground. */
  outline(extent) {
    this.#extent = extent && unfolded(extent);
    this.map.render();
  }

  /** Shows the whole outlined extent. */
  fit() {
    if (this.#extent) this.#fit(this.#extent);
  }

  /** @param {number} opacity 0 to 1. */
  setOpacity(opacity) {
    this.#opacity = opacity;
    this.#current?.setOpacity(opacity);
    this.#other?.setOpacity(opacity);
  }

  /** The source that is drawn, or null. */
  get source() {
    return this.#current?.getSource() ?? null;
  }

  /** Map units per pixel. */
  get resolution() {
    return this.map.getView().getResolution();
  }

  /** The middle of the view, in its projection. */
  get centre() {
    return this.map.getView().getCenter();
  }

  /** Whether the drawn layer has tiles for this zoom. */
  get inRange() {
    return !this.#current || this.resolution < this.#current.getMaxResolution();
  }

  /** @param {number[]} coordinate In the view's projection. @returns {number[]} Longitude, latitude. */
  degrees(coordinate) {
    return transform(coordinate, this.map.getView().getProjection(), DEGREES);
  }

  /** Redraws texts after a change of language. */
  relabel({ zoomIn, zoomOut }) {
    const name = (selector, text) => {
      const button = this.map.getTargetElement().querySelector(selector);
      button.title = text;
      button.setAttribute("aria-label", text);
    };
    name(".ol-zoom-in", zoomIn);
    name(".ol-zoom-out", zoomOut);
    this.map.render();
  }

  /** What is in view, for tests and for who looks from outside: corners and pixel size in map units. */
  #tellView(target) {
    const view = this.map.getView();
    target.dataset.projection = view.getProjection().getCode();
    target.dataset.extent = view.calculateExtent(this.map.getSize()).join(",");
    target.dataset.resolution = String(view.getResolution());
  }

  /** Each tile comes by fetch: keys in headers work, refusals have a status, and no login box opens. */
  #tileLoader() {
    return async (tile, address) => {
      const { signal } = this.#abort;
      try {
        const picture = await this.options.loadPicture(address, signal);
        if (picture) setPicture(tile.getImage(), picture);
        else tile.setState(TileState.EMPTY);
      } catch (error) {
        tile.setState(TileState.ERROR);
        if (!signal.aborted) this.options.onTileError(error);
      }
    };
  }

  /** Changes the view's projection and keeps the place and the scale. */
  #project(projection) {
    const before = this.map.getView();
    const from = before.getProjection();
    if (from.getCode() === projection.getCode()) return;
    const centre = transform(this.degrees(before.getCenter()), DEGREES, projection);
    const metres = getPointResolution(from, before.getResolution(), before.getCenter(), "m");
    const unit = getPointResolution(projection, 1, centre, "m");
    const view = viewIn(projection);
    view.setCenter(centre);
    view.setResolution(metres / unit);
    this.map.setView(view);
  }

  /** Whoever looks at a place keeps it when the next layer has something to show there. */
  #keepOrFit(extent, tiles) {
    const view = this.map.getView();
    const [left, bottom, right, top] = projected(extent, view.getProjection());
    const [x, y] = view.getCenter();
    const pixels = Math.min(right - left, top - bottom) / view.getResolution();
    const inside = left <= x && x <= right && bottom <= y && y <= top;
    const blurred = view.getResolution() * KEEP_VIEW_ENLARGED < tiles.getResolutions().at(-1);
    if (!inside || blurred || pixels < KEEP_VIEW_PIXELS || !this.inRange) this.fit();
  }

  #fit(extent) {
    const view = this.map.getView();
    const size = this.map.getSize();
    const padding = size && Math.min(...size) > 300 ? [48, 48, 48, 48] : [16, 16, 16, 16];
    view.fit(projected(extent, view.getProjection()), { padding, size });
  }
}

function projected(extent, projection) {
  return transformExtent(extent, DEGREES, projection, 8);
}

/** Where tiles are asked: the layer's extent and a little around it; anywhere if it crosses the antimeridian. */
function askedExtent(extent, projection) {
  if (extent[2] > 180) return undefined;
  const [left, bottom, right, top] = projected(extent, projection);
  const margin = Math.max(right - left, top - bottom) / 100;
  return [left - margin, bottom - margin, right + margin, top + margin];
}

function viewIn(projection) {
  const metres = projection.getMetersPerUnit();
  return new View({
    projection,
    center: transform([3, 46.5], DEGREES, projection),
    resolution: 5000 / metres,
    minResolution: 0.02 / metres,
    maxResolution: 80000 / metres,
    enableRotation: false,
    showFullExtent: true,
  });
}

function setPicture(image, picture) {
  const address = URL.createObjectURL(picture);
  const forget = () => URL.revokeObjectURL(address);
  image.addEventListener("load", forget, { once: true });
  image.addEventListener("error", forget, { once: true });
  image.src = address;
}
