// Makes a browser's PNG small: its pixels by a palette of the colours that it has most of.
import assert from "node:assert/strict";
import { deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");
const MAX_COLOURS = 48;

function* chunks(png) {
  assert.ok(png.subarray(0, 8).equals(SIGNATURE), "no PNG");
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    yield { type: png.toString("latin1", at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) };
    at += length + 12;
  }
}

// Returns the pixels as numbers 0xRRGGBB; of 8 bits a channel and not interlaced, as browsers write it.
function pixelsOf(png) {
  const all = [...chunks(png)];
  const head = all.find(({ type }) => type === "IHDR").data;
  const [width, height] = [head.readUInt32BE(0), head.readUInt32BE(4)];
  assert.ok(head[8] === 8 && [2, 6].includes(head[9]) && head[12] === 0, "another kind of PNG than browsers write");
  const step = head[9] === 2 ? 3 : 4;
  const bytes = inflateSync(Buffer.concat(all.filter(({ type }) => type === "IDAT").map(({ data }) => data)));
  const pixels = new Uint32Array(width * height);
  let before = new Uint8Array(width * step);
  for (let y = 0; y < height; y += 1) {
    const from = y * (width * step + 1);
    const row = unfiltered(bytes[from], bytes.subarray(from + 1, from + 1 + width * step), before, step);
    for (let x = 0; x < width; x += 1) pixels[y * width + x] = (row[x * step] << 16) | (row[x * step + 1] << 8) | row[x * step + 2];
    before = row;
  }
  return { width, height, pixels };
}

// Undoes the filter of a row, which tells each byte by its neighbours.
function unfiltered(filter, bytes, before, step) {
  const row = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at += 1) {
    const [left, up, corner] = at < step ? [0, before[at], 0] : [row[at - step], before[at], before[at - step]];
    row[at] = bytes[at] + [0, left, up, (left + up) >> 1, nearest(left, up, corner)][filter];
  }
  return row;
}

function nearest(left, up, corner) {
  const [toLeft, toUp, toCorner] = [left, up, corner].map((value) => Math.abs(left + up - corner - value));
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function distance(a, b) {
  return [16, 8, 0].reduce((sum, shift) => sum + (((a >> shift) & 255) - ((b >> shift) & 255)) ** 2, 0);
}

function paletteOf(pixels) {
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const palette = [];
  // Shades that one can hardly tell apart share a place.
  for (const [colour] of [...counts].sort((a, b) => b[1] - a[1])) {
    if (palette.length === MAX_COLOURS) break;
    if (palette.every((other) => distance(colour, other) > 150)) palette.push(colour);
  }
  const places = new Map();
  for (const colour of counts.keys()) {
    const distances = palette.map((other) => distance(colour, other));
    places.set(colour, distances.indexOf(Math.min(...distances)));
  }
  return { palette, places };
}

function crc(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc(body), body.length + 4);
  return whole;
}

// Returns the same picture with few colours.
export function reduced(png) {
  const { width, height, pixels } = pixelsOf(png);
  const { palette, places } = paletteOf(pixels);
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const rows = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) rows[y * (width + 1) + 1 + x] = places.get(pixels[y * width + x]);
  }
  const colours = Buffer.from(palette.flatMap((colour) => [16, 8, 0].map((shift) => (colour >> shift) & 255)));
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", head),
    chunk("PLTE", colours),
    chunk("IDAT", deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}
