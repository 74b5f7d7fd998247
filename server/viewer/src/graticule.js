/** Draws meridians, parallels and the outline of the chosen layer on a plain ground, in any projection. */

import Layer from "ol/layer/Layer.js";
import { getTransform } from "ol/proj.js";
import { apply } from "ol/transform.js";

const STEPS = [60, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001];
const WANTED_SPACING = 130; // CSS pixels between two lines, at least
const SAMPLES = 24;
const LABEL_INSET = 5; // CSS pixels from the edge
const LABEL_HALF = 36; // CSS pixels to either side of a longitude, so that none is cut
const COLOURS = { line: "#ccd5df", text: "#3d4b5a", halo: "rgb(255 255 255 / 85%)", outline: "#0b4f94" };

/**
 * Chooses the spacing of the lines.
 * @param {number} degreesPerPixel Of the view, along the axis.
 * @returns {number} Degrees.
 */
export function graticuleStep(degreesPerPixel) {
  const wanted = degreesPerPixel * WANTED_SPACING;
  return STEPS.findLast((step) => step >= wanted) ?? STEPS[0];
}

/**
 * Makes the layers that draw all this: lines below the images, their labels above.
 * @param {{label: (degrees: number, step: number, axis: "longitude" | "latitude") => string,
 *   outline: () => number[] | null}} content outline: west, south, east, north in degrees.
 * @returns {[Layer, Layer]} Lines, labels.
 */
export function createGraticule({ label, outline }) {
  let labels = [];
  const lines = canvasLayer(-1, (context, frame) => {
    const pixelOf = pixelFunction(frame);
    const world = visibleDegrees(frame);
    labels = world ? drawLines(context, frame, world, pixelOf, label) : [];
    const extent = outline();
    if (extent) drawOutline(context, extent, pixelOf);
  });
  return [lines, canvasLayer(1, (context) => drawLabels(context, labels))];
}

/** A layer on a canvas of its own; one unit is one CSS pixel. */
function canvasLayer(zIndex, draw) {
  const canvas = document.createElement("canvas");
  // OpenLayers would draw its tiles into a canvas that it is given bare.
  const container = document.createElement("div");
  container.className = "graticule";
  container.append(canvas);
  return new Layer({
    zIndex,
    render(frame) {
      const [width, height] = frame.size.map((length) => Math.round(length * frame.pixelRatio));
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
      const context = canvas.getContext("2d");
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, width, height);
      context.setTransform(frame.pixelRatio, 0, 0, frame.pixelRatio, 0, 0);
      draw(context, frame);
      return container;
    },
  });
}

/** Gives (longitude, latitude) -> [x, y] in CSS pixels. */
function pixelFunction(frame) {
  const project = getTransform("EPSG:4326", frame.viewState.projection);
  return (longitude, latitude) =>
    apply(frame.coordinateToPixelTransform, project([longitude, latitude], undefined, 2).slice(0, 2));
}

/** West, south, east, north of what is in view, from a grid of points; null where nothing can be said. */
function visibleDegrees(frame) {
  const unproject = getTransform(frame.viewState.projection, "EPSG:4326");
  const [left, bottom, right, top] = frame.extent;
  const longitudes = [];
  const latitudes = [];
  for (let i = 0; i <= 8; i += 1) {
    for (let j = 0; j <= 8; j += 1) {
      const x = left + ((right - left) * i) / 8;
      const y = bottom + ((top - bottom) * j) / 8;
      const [longitude, latitude] = unproject([x, y], undefined, 2);
      if (Number.isFinite(longitude) && Number.isFinite(latitude)) {
        longitudes.push(longitude);
        latitudes.push(Math.max(-89, Math.min(89, latitude)));
      }
    }
  }
  if (!longitudes.length) return null;
  return [Math.min(...longitudes), Math.min(...latitudes), Math.max(...longitudes), Math.max(...latitudes)];
}

/** Draws the lines and gives their labels: text, x, y, alignment. */
function drawLines(context, frame, [west, south, east, north], pixelOf, label) {
  const [width, height] = frame.size;
  const meridians = graticuleStep((east - west) / width);
  const parallels = graticuleStep((north - south) / height);
  const labels = [];
  context.lineWidth = 1;
  context.strokeStyle = COLOURS.line;
  for (const longitude of multiples(west, east, meridians)) {
    const line = trace(context, (t) => pixelOf(longitude, south + (north - south) * t));
    const x = crossing(line, 1, LABEL_INSET);
    if (x > LABEL_HALF && x < width - LABEL_HALF) {
      labels.push([label(longitude, meridians, "longitude"), x, LABEL_INSET, "center"]);
    }
  }
  for (const latitude of multiples(south, north, parallels)) {
    const line = trace(context, (t) => pixelOf(west + (east - west) * t, latitude));
    const x = width - LABEL_INSET;
    const y = crossing(line, 0, x);
    // Below the row of longitudes and above the scale and credit lines.
    if (y > 30 && y < height - 50) labels.push([label(latitude, parallels, "latitude"), x, y, "right"]);
  }
  return labels;
}

function drawLabels(context, labels) {
  context.font = "11px system-ui, sans-serif";
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = COLOURS.halo;
  context.fillStyle = COLOURS.text;
  for (const [text, x, y, align] of labels) {
    context.textAlign = align;
    context.textBaseline = align === "center" ? "top" : "middle";
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }
}

function multiples(from, to, step) {
  const numbers = [];
  for (let n = Math.ceil(from / step); n <= Math.floor(to / step); n += 1) numbers.push(n * step);
  return numbers;
}

function trace(context, pointAt) {
  const points = Array.from({ length: SAMPLES + 1 }, (_, k) => pointAt(k / SAMPLES)).filter((point) =>
    point.every(Number.isFinite),
  );
  context.beginPath();
  points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
  return points;
}

/** Where a line passes a position: axis 0 finds y at an x, axis 1 finds x at a y. */
function crossing(line, axis, position) {
  for (let k = 1; k < line.length; k += 1) {
    const [a, b] = [line[k - 1], line[k]];
    if (Math.min(a[axis], b[axis]) <= position && position <= Math.max(a[axis], b[axis])) {
      const share = a[axis] === b[axis] ? 0 : (position - a[axis]) / (b[axis] - a[axis]);
      return a[1 - axis] + share * (b[1 - axis] - a[1 - axis]);
    }
  }
  return -100; // off the canvas
}

function drawOutline(context, [west, south, east, north], pixelOf) {
  const corners = [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
  context.strokeStyle = COLOURS.outline;
  context.lineWidth = 2;
  context.setLineDash([6, 5]);
  for (let k = 1; k < corners.length; k += 1) {
    const [a, b] = [corners[k - 1], corners[k]];
    trace(context, (t) => pixelOf(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t));
  }
  context.setLineDash([]);
}
