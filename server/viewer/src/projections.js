/** The projected systems of French territories and the UTM zones, as proj4 definitions by EPSG code. Pure. */

const LAMBERT_93 = "+proj=lcc +lat_0=46.5 +lon_0=3 +lat_1=49 +lat_2=44 +x_0=700000 +y_0=6600000";
const LAMBERT_NC =
  "+proj=lcc +lat_0=-21.5 +lon_0=166 +lat_1=-20.6666666666667 +lat_2=-22.3333333333333 +x_0=400000 +y_0=300000";
/** [EPSG code, datum, zone, south]: the official UTM systems overseas. Source: EPSG registry, by PROJ. */
const OVERSEAS = [
  [4559, "RRAF91", 20, false],
  [5490, "RGAF09", 20, false],
  [2972, "RGFG95", 22, false],
  [4467, "RGSPM06", 21, false],
  [2975, "RGR92", 40, true],
  [4471, "RGM04", 38, true],
  [3169, "RGNC91-93", 57, true],
  [3170, "RGNC91-93", 58, true],
  [3171, "RGNC91-93", 59, true],
  [3296, "RGPF", 5, true],
  [3297, "RGPF", 6, true],
  [8903, "RGWF96", 1, true],
  [7074, "RGTAAF07", 37, true],
  [7076, "RGTAAF07", 39, true],
  [7078, "RGTAAF07", 41, true],
  [7080, "RGTAAF07", 43, true],
];

/** All of them are east, north in metres; the RGF93 family and WGS 84 agree within a metre, so none is shifted. */
function grs80(projection) {
  return `${projection} +ellps=GRS80 +towgs84=0,0,0 +units=m +no_defs`;
}

function utm(zone, south) {
  return `+proj=utm +zone=${zone}${south ? " +south" : ""}`;
}

function utmName(datum, zone, south) {
  return `${datum} / UTM ${zone}${south ? "S" : "N"}`;
}

/** The conic of one degree pair, CC42 to CC50: 0.75 degrees to either side, false northing by latitude. */
function conic(latitude) {
  const northing = (latitude - 41) * 1000000 + 200000;
  return (
    `+proj=lcc +lat_0=${latitude} +lon_0=3 +lat_1=${latitude - 0.75} +lat_2=${latitude + 0.75}` +
    ` +x_0=1700000 +y_0=${northing}`
  );
}

function allDefinitions() {
  const all = {
    "EPSG:2154": { name: "Lambert-93", proj4: grs80(LAMBERT_93) },
    "EPSG:9793": { name: "Lambert-93 v2", proj4: grs80(LAMBERT_93) },
    "EPSG:9794": { name: "Lambert-93 v2b", proj4: grs80(LAMBERT_93) },
    "EPSG:3163": { name: "RGNC91-93 / Lambert NC", proj4: grs80(LAMBERT_NC) },
  };
  for (const [code, datum, zone, south] of OVERSEAS) {
    all[`EPSG:${code}`] = { name: utmName(datum, zone, south), proj4: grs80(utm(zone, south)) };
  }
  for (let latitude = 42; latitude <= 50; latitude += 1) {
    all[`EPSG:${3900 + latitude}`] = { name: `CC${latitude}`, proj4: grs80(conic(latitude)) };
    all[`EPSG:${9800 + latitude}`] = { name: `CC${latitude} v2b`, proj4: grs80(conic(latitude)) };
  }
  for (let zone = 1; zone <= 60; zone += 1) {
    for (const south of [false, true]) {
      all[`EPSG:${(south ? 32700 : 32600) + zone}`] = {
        name: utmName("WGS 84", zone, south),
        proj4: `${utm(zone, south)} +datum=WGS84 +units=m +no_defs`,
      };
    }
  }
  return all;
}

/** By code: a short name for people and the proj4 text. */
export const definitions = allDefinitions();
