/** The Castagnoli polynomial x^32 + x^28 + ..., bits reversed. */
const polynomial = 0x82f63b78;

/** By the value of a byte: what shifting it through the register leaves. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let register = byte;
  for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ (register & 1 ? polynomial : 0);
  return register;
});

/** CRC-32C (RFC 3720, appendix B.4), which Node's zlib lacks. */
export function crc32c(bytes: Uint8Array): number {
  let register = 0xffffffff;
  for (const byte of bytes) register = (register >>> 8) ^ table[(register ^ byte) & 0xff]!;
  return ~register >>> 0;
}
