/** Reads what the service answers: the layer list and feature info, whatever is missing in them. Pure. */

/**
 * Orders dates, the most recent first.
 * @param {readonly string[]} [times] ISO 8601, which sorts as text.
 */
export function datesOf(times = []) {
  return [...times].sort().reverse();
}

/**
 * Finds the layers that hold every word of a search, accents and case aside.
 * @param {readonly object[]} layers As the service lists them.
 * @param {string} search What the user typed.
 */
export function matchingLayers(layers, search) {
  const words = plain(search).split(/\s+/).filter(Boolean);
  return layers.filter((layer) => {
    const text = plain(
      [layer.id, layer.title, layer.description, layer.sensors, layer.sensor_titles, layer.attribution].map(everything).join(" "),
    );
    return words.every((word) => text.includes(word));
  });
}

function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

function everything(value) {
  if (value && typeof value === "object") return Object.values(value).map(everything).join(" ");
  return value ?? "";
}

/**
 * Gives an extent whose east is east of its west.
 * @param {number[]} extent West, south, east, north in degrees; may cross the antimeridian.
 */
export function unfolded([west, south, east, north]) {
  return [west, south, east < west ? east + 360 : east, north];
}

/**
 * Lists what lies under a click.
 * @param {any} answer GeoJSON FeatureCollection of a GetFeatureInfo request.
 * @returns {{scene: string, layer: string, date: string, sensor: string, licence: string, credit: string,
 *   values: {name: string, meaning: string, value: number | string | null, unit: string}[]}[]} The topmost
 *   scene first; empty strings for what isn't told; meaning is a common name of STAC, such as `nir`.
 */
export function findings(answer) {
  const features = Array.isArray(answer?.features) ? answer.features : [];
  return features.map((feature) => {
    const properties = feature.properties ?? {};
    return {
      scene: firstText(properties.scene, feature.id, properties.id),
      layer: firstText(properties.layer),
      date: firstText(properties.datetime, properties.acquired, properties.date),
      sensor: firstText(properties.sensor),
      licence: firstText(properties.licence, properties.license),
      credit: firstText(properties.attribution),
      values: bandValues(properties.bands ?? properties.values ?? []),
    };
  });
}

function firstText(...candidates) {
  const found = candidates.find((candidate) => candidate !== undefined && candidate !== null && candidate !== "");
  return found === undefined ? "" : String(found);
}

/** Bands come as {"B1": 12} or as [{"name": "B1", "value": 12, "unit": "m"}]. */
function bandValues(bands) {
  if (!Array.isArray(bands)) {
    return Object.entries(bands).map(([name, value]) =>
      value && typeof value === "object"
        ? { name, meaning: value.common_name ?? "", value: value.value ?? null, unit: value.unit ?? "" }
        : { name, meaning: "", value, unit: "" },
    );
  }
  return bands.map((band, index) =>
    band && typeof band === "object"
      ? {
          name: band.name ?? String(index + 1),
          meaning: band.common_name ?? "",
          value: band.value ?? null,
          unit: band.unit ?? "",
        }
      : { name: String(index + 1), meaning: "", value: band ?? null, unit: "" },
  );
}
