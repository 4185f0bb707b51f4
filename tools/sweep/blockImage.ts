/**
 * `[N, C, H, W]`, row-major, as `[N, C/B, H, W, B]`. A last block that is not whole has the lanes that are left:
 * no kernel reads that, and the sweep shows it.
 */
export function blockImage(
  values: Float32Array,
  channels: number,
  pixels: number,
  block: number,
): Float32Array {
  const blocked = new Float32Array(values.length);
  for (const [i, value] of values.entries()) {
    const pixel = i % pixels;
    const channel = Math.floor(i / pixels) % channels;
    const lane = channel % block;
    const lanes = Math.min(block, channels - (channel - lane));
    // i - pixel - lane * pixels is where the block starts.
    blocked[i - pixel - lane * pixels + pixel * lanes + lane] = value;
  }
  return blocked;
}
