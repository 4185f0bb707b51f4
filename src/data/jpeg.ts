import { maxPixels } from './imageHeader.js';
import type { PixelMemory, RawImage } from './imageStore.js';
import { decodeInto } from './libjpegTurbo.js';

/**
 * Decode an ordinary photograph in the calling thread, to the pixels that sharp gives in a third of the time; null
 * without libjpeg-turbo, and for every other file, which is left to sharp: what is no JPEG, has more or fewer than three channels, is
 * progressive, turned by EXIF or in a colour space of its own, subsamples unusually, or may be damaged.
 */
export function decodeOrdinaryJpeg(
  file: Buffer,
  memory: PixelMemory = (width, height) => new Uint8Array(3 * width * height),
): RawImage | null {
  const size = sizeOfOrdinaryJpeg(file);
  if (!size) return null;
  const { width, height } = size;
  const data = memory(width, height);
  return decodeInto(data, width, height, file) ? { width, height, channels: 3, data } : null;
}

/** Second byte of the markers of ITU-T T.81, table B.1, and of the application segments that matter here. */
const marker = { baseline: 0xc0, start: 0xd8, end: 0xd9, scan: 0xda, exif: 0xe1, profile: 0xe2, adobe: 0xee };

/** Sampling factors of the three components, by (horizontal, vertical): 4:4:4, 4:2:2 and 4:2:0. */
const samplings: readonly (readonly number[])[] = [
  [0x11, 0x11, 0x11],
  [0x21, 0x11, 0x11],
  [0x22, 0x11, 0x11],
];

/** Reads the segments up to the first scan. */
function sizeOfOrdinaryJpeg(file: Buffer): { readonly width: number; readonly height: number } | null {
  const end = file.length - 2;
  // What is cut off can be seen without decoding the rest.
  if (end < 4 || !isMarker(file, 0, marker.start) || !isMarker(file, end, marker.end)) return null;
  let size: { width: number; height: number } | null = null;
  for (let at = 2; at + 4 <= end && file[at] === 0xff; at += 2 + file.readUInt16BE(at + 2)) {
    const code = file[at + 1]!;
    // Components in scans of their own are not usual either.
    if (code === marker.scan) return file[at + 4] === 3 ? size : null;
    const segment = file.subarray(at + 4, at + 2 + file.readUInt16BE(at + 2));
    if (code === marker.baseline) size = sizeOfFrame(segment);
    else if (code === marker.exif && isTurned(segment)) return null;
    else if (code === marker.profile && startsWith(segment, 'ICC_PROFILE\0')) return null;
    // The last byte is the transform, 1 for YCbCr.
    else if (code === marker.adobe && !(segment.length === 12 && segment[11] === 1)) return null;
  }
  return null;
}

/** Of a frame header (T.81, B.2.2): precision, height, width, and identifier, sampling and table of each component. */
function sizeOfFrame(segment: Buffer): { width: number; height: number } | null {
  if (segment.length !== 15 || segment[0] !== 8 || segment[5] !== 3) return null;
  // Other identifiers can mean that the components are not YCbCr.
  if (segment[6] !== 1 || segment[9] !== 2 || segment[12] !== 3) return null;
  const isUsual = samplings.some(
    ([y, cb, cr]) => segment[7] === y && segment[10] === cb && segment[13] === cr,
  );
  const [width, height] = [segment.readUInt16BE(3), segment.readUInt16BE(1)];
  return isUsual && width * height <= maxPixels ? { width, height } : null;
}

const orientationTag = 0x0112;
const upright = 1;

/** Whether the orientation (EXIF 2.3, 4.6.4) is there and not upright; true also for what cannot be read. */
function isTurned(segment: Buffer): boolean {
  if (!startsWith(segment, 'Exif\0\0')) return false;
  const tiff = segment.subarray(6);
  const littleEndian = tiff[0] === 0x49;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.length);
  try {
    const directory = view.getUint32(4, littleEndian);
    const entries = view.getUint16(directory, littleEndian);
    for (let entry = directory + 2; entry < directory + 2 + 12 * entries; entry += 12) {
      if (view.getUint16(entry, littleEndian) !== orientationTag) continue;
      return view.getUint16(entry + 8, littleEndian) !== upright;
    }
    return false;
  } catch {
    return true;
  }
}

function isMarker(file: Buffer, at: number, code: number): boolean {
  return file[at] === 0xff && file[at + 1] === code;
}

function startsWith(segment: Buffer, text: string): boolean {
  return segment.subarray(0, text.length).equals(Buffer.from(text, 'latin1'));
}
