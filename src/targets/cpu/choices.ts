import { tileCount, winogradFor } from './winogradMatrices.js';

/** Where several lowerings compete: which one is taken. All are correct; they differ in speed. */
export interface Choices {
  /** Whether activations of maps of this size are folded (laidOutValue.ts). `convolutions` are those over such maps. */
  folded(map: MapSize, convolutions: readonly ConvSize[]): boolean;
  /** Whether a 3x3 convolution with stride 1 over a folded map, or a gradient of it, goes by Winograd. */
  winograd(conv: ConvSize, part: ConvPart): boolean;
  /**
   * Samples that one group of a weight gradient's convolution sums over; a divisor of the batch. E.g. 4 of 32: eight
   * groups, whose results are added up. Asked where the runtime takes such groups.
   */
  chunk(conv: ConvSize): number;
}

export type ConvPart = 'forward' | 'inputGradient' | 'weightGradient';

export interface MapSize {
  readonly height: number;
  readonly width: number;
  readonly batch: number;
}

/** Of a convolution with a square window; height and width are those of its output. */
export interface ConvSize extends MapSize {
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
}

/** A convolution goes by Winograd where it takes less than this part of the direct one's time. */
const winogradPays = 0.85;

/** What measured best on AVX-512 machines (docs/performance.md). */
export const builtIn: Choices = {
  folded({ height, width }, convolutions) {
    const positions = height * width;
    if (positions <= 64) return true;
    // Large maps cost more where they meet blocked ones.
    const ratio = positions <= 256 ? winogradPays : 0.7;
    return positions <= 784 && convolutions.some((conv) => winogradRatio(conv) < ratio);
  },
  winograd: (conv) => winogradRatio(conv) < winogradPays,
  chunk({ height, kernel, batch }) {
    const wanted = kernel === 1 ? (height >= 28 ? 1 : 4) : height >= 32 ? 1 : 8;
    let chunk = Math.min(wanted, batch);
    while (batch % chunk !== 0) chunk--;
    return chunk;
  },
};

/**
 * Time of a convolution by Winograd over that of the direct one, from measured rates: products of either kind at
 * about 200 GFLOP/s, transforms by the megabyte of transformed maps and weights. Infinite where there is none.
 */
export function winogradRatio({ batch, inputs, outputs, height, width, kernel, stride }: ConvSize): number {
  if (kernel !== 3 || stride !== 1 || Math.min(height, width) < 4) return Infinity;
  const f = winogradFor({ height, width });
  const squared = f.products ** 2;
  const tiles = batch * tileCount(f, height) * tileCount(f, width);
  const perGigaflop = 1 / 205; // seconds
  const direct = 18e-9 * batch * height * width * inputs * outputs * perGigaflop;
  const products = 2e-9 * squared * tiles * inputs * outputs * perGigaflop;
  const megabytes = (elements: number) => (squared * 4 * elements) / 1e6;
  const maps = 0.23e-3 * megabytes(tiles * (inputs + outputs));
  const weights = 0.07e-3 * megabytes(inputs * outputs);
  return (products + maps + weights + 0.3e-3) / direct;
}

/** Answers by question, as JSON holds them. The keys are those of `mapKey`, `partKey` and `convKey`. */
export interface ChoiceTable {
  readonly folded: Readonly<Record<string, boolean>>;
  readonly winograd: Readonly<Record<string, boolean>>;
  readonly chunk: Readonly<Record<string, number>>;
}

export const noChoices: ChoiceTable = { folded: {}, winograd: {}, chunk: {} };

/** The choices of a table; what it does not hold is answered by `otherwise`. */
export function tableChoices(table: ChoiceTable, otherwise: Choices = builtIn): Choices {
  return {
    folded: (map, over) => table.folded[mapKey(map, over)] ?? otherwise.folded(map, over),
    winograd: (conv, part) => table.winograd[partKey(conv, part)] ?? otherwise.winograd(conv, part),
    chunk: (conv) => table.chunk[convKey(conv)] ?? otherwise.chunk(conv),
  };
}

/** Choices that note what they are asked and what they answer, in the order of the questions. */
export class RecordedChoices implements Choices {
  readonly maps: { map: MapSize; convolutions: readonly ConvSize[]; folded: boolean }[] = [];
  readonly parts: { conv: ConvSize; part: ConvPart; winograd: boolean }[] = [];
  readonly chunks: { conv: ConvSize; chunk: number }[] = [];

  constructor(private readonly choices: Choices) {}

  folded(map: MapSize, convolutions: readonly ConvSize[]): boolean {
    const folded = this.choices.folded(map, convolutions);
    this.maps.push({ map, convolutions, folded });
    return folded;
  }

  winograd(conv: ConvSize, part: ConvPart): boolean {
    const winograd = this.choices.winograd(conv, part);
    this.parts.push({ conv, part, winograd });
    return winograd;
  }

  chunk(conv: ConvSize): number {
    const chunk = this.choices.chunk(conv);
    this.chunks.push({ conv, chunk });
    return chunk;
  }

  /** The answers, sorted by key. */
  table(): ChoiceTable {
    return {
      folded: sorted(this.maps.map(({ map, convolutions, folded }) => [mapKey(map, convolutions), folded])),
      winograd: sorted(this.parts.map(({ conv, part, winograd }) => [partKey(conv, part), winograd])),
      chunk: sorted(this.chunks.map(({ conv, chunk }) => [convKey(conv), chunk])),
    };
  }
}

function sorted<T>(answers: readonly (readonly [string, T])[]): Record<string, T> {
  return Object.fromEntries(answers.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** e.g. `16x14x14 over 1024>256 1x1/1, 256>256 3x3/1`: batch, height, width, and the different convolutions. */
export function mapKey({ batch, height, width }: MapSize, convolutions: readonly ConvSize[]): string {
  return `${batch}x${height}x${width} over ${[...new Set(convolutions.map(layerKey))].sort().join(', ')}`;
}

/** e.g. `16x14x14 256>256 3x3/1`: batch, height and width of the output, channels, window, stride. */
export function convKey(conv: ConvSize): string {
  return `${conv.batch}x${conv.height}x${conv.width} ${layerKey(conv)}`;
}

export function partKey(conv: ConvSize, part: ConvPart): string {
  return `${convKey(conv)} ${part}`;
}

function layerKey({ inputs, outputs, kernel, stride }: ConvSize): string {
  return `${inputs}>${outputs} ${kernel}x${kernel}/${stride}`;
}
