import type { ColorStep } from './augmentation.js';

/**
 * torchvision's colour operations on planes [3, pixels] of values 0 to 255, in place. Results are clamped to
 * that range but not rounded, as torchvision does with float tensors.
 */
export function applyColorStep(planes: Float32Array, pixels: number, { kind, factor }: ColorStep): void {
  switch (kind) {
    case 'brightness':
      return adjustBrightness(planes, factor);
    case 'contrast':
      return adjustContrast(planes, pixels, factor);
    case 'saturation':
      return adjustSaturation(planes, pixels, factor);
    case 'hue':
      return shiftHue(planes, pixels, factor);
  }
}

/** Luma weights of ITU-R BT.601 with torchvision's digits. */
const redWeight = 0.2989;
const greenWeight = 0.587;
const blueWeight = 0.114;

/** All three channels become the luma. */
export function toGrayscale(planes: Float32Array, pixels: number): void {
  for (let r = 0, g = pixels, b = 2 * pixels; r < pixels; r++, g++, b++) {
    const luma = redWeight * planes[r]! + greenWeight * planes[g]! + blueWeight * planes[b]!;
    planes[r] = luma;
    planes[g] = luma;
    planes[b] = luma;
  }
}

function adjustBrightness(planes: Float32Array, factor: number): void {
  for (let i = 0; i < planes.length; i++) planes[i] = clamp(planes[i]! * factor);
}

/** Blend with the mean luma of the image. */
function adjustContrast(planes: Float32Array, pixels: number, factor: number): void {
  let sum = 0;
  for (let r = 0, g = pixels, b = 2 * pixels; r < pixels; r++, g++, b++) {
    sum += redWeight * planes[r]! + greenWeight * planes[g]! + blueWeight * planes[b]!;
  }
  const shift = (1 - factor) * (sum / pixels);
  for (let i = 0; i < planes.length; i++) planes[i] = clamp(planes[i]! * factor + shift);
}

/** Blend with the luma of each pixel. */
function adjustSaturation(planes: Float32Array, pixels: number, factor: number): void {
  const rest = 1 - factor;
  for (let r = 0, g = pixels, b = 2 * pixels; r < pixels; r++, g++, b++) {
    const red = planes[r]!;
    const green = planes[g]!;
    const blue = planes[b]!;
    const shift = rest * (redWeight * red + greenWeight * green + blueWeight * blue);
    planes[r] = clamp(red * factor + shift);
    planes[g] = clamp(green * factor + shift);
    planes[b] = clamp(blue * factor + shift);
  }
}

/**
 * Turn the hue of HSV by `turns`. Value and saturation stay, so the largest and the smallest channel keep their
 * values and only the assignment of channels and the middle value change.
 */
function shiftHue(planes: Float32Array, pixels: number, turns: number): void {
  const shift = 6 * (turns + 1);
  for (let r = 0, g = pixels, b = 2 * pixels; r < pixels; r++, g++, b++) {
    const red = planes[r]!;
    const green = planes[g]!;
    const blue = planes[b]!;
    const high = red > green ? (red > blue ? red : blue) : green > blue ? green : blue;
    const low = red < green ? (red < blue ? red : blue) : green < blue ? green : blue;
    const chroma = high - low;
    if (chroma === 0) continue;
    // Hue in sixths of a turn, counted from red.
    let hue = shift;
    if (high === red) hue += (green - blue) / chroma;
    else if (high === green) hue += 2 + (blue - red) / chroma;
    else hue += 4 + (red - green) / chroma;
    const sector = Math.floor(hue);
    const falling = high - chroma * (hue - sector);
    const rising = low + chroma * (hue - sector);
    switch (sector % 6) {
      case 0:
        planes[r] = high;
        planes[g] = rising;
        planes[b] = low;
        break;
      case 1:
        planes[r] = falling;
        planes[g] = high;
        planes[b] = low;
        break;
      case 2:
        planes[r] = low;
        planes[g] = high;
        planes[b] = rising;
        break;
      case 3:
        planes[r] = low;
        planes[g] = falling;
        planes[b] = high;
        break;
      case 4:
        planes[r] = rising;
        planes[g] = low;
        planes[b] = high;
        break;
      default:
        planes[r] = high;
        planes[g] = low;
        planes[b] = falling;
    }
  }
}

function clamp(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
