import { crc32c } from './crc32c.js';

/**
 * A record of a TFRecord file, little-endian: length as uint64, its checksum, the data, its checksum.
 */
export function encodeRecord(data: Uint8Array): Buffer {
  const record = Buffer.alloc(8 + 4 + data.length + 4);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedChecksum(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedChecksum(data), 12 + data.length);
  return record;
}

/** Rotated and shifted, because the checksum of data that holds its own checksum says little. */
function maskedChecksum(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
