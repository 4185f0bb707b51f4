import {
  cudaBuiltIn,
  cudaKey,
  cudaParts,
  openForms,
  type CudaChoices,
  type CudaChoiceTable,
  type CudaConv,
  type CudaQuestion,
} from '../targets/cuda/choices.js';
import type { ConvBench } from './convBench.js';

export interface TuneCudaOptions {
  /** What the lowering of a training step asks, a question a layer. */
  readonly questions: readonly CudaQuestion[];
  /** What is known already. */
  readonly known: CudaChoiceTable;
  readonly bench: ConvBench;
  /** What a candidate must beat. */
  readonly base?: CudaChoices;
  /** Called with the share that is done, 0 to 1. */
  readonly onProgress?: (share: number) => void;
  /** Milliseconds; when they are over, what is not measured yet stays as it is. */
  readonly budget?: number;
  readonly now?: () => number;
}

/** A candidate must take so much less time than what it replaces, in two measurements, or noise would choose. */
const margin = 0.97;
/** A form that took so many times as long as the best for this many of the costliest layers is tried no more. */
const hopeless = { times: 3, layers: 3 };

/**
 * Measures each form that the layers of a training step can take, the costliest layers first. Returns the answers that a
 * measurement changed or confirmed; whatever is not in the table is best left as it is.
 */
export async function tuneCuda(options: TuneCudaOptions): Promise<CudaChoiceTable> {
  const { questions, known, bench, base = cudaBuiltIn, onProgress, budget = Infinity } = options;
  const now = options.now ?? (() => performance.now());
  const end = now() + budget;
  const table = Object.fromEntries(cudaParts.map((part) => [part, { ...known[part] }])) as Record<
    keyof CudaChoiceTable,
    Record<string, string>
  >;
  const lost = new Map<string, number>();
  const layers = distinct(questions);
  const total = layers.reduce((sum, { weight }) => sum + weight, 0);
  let done = 0;
  for (const { conv, part, weight } of layers) {
    onProgress?.(done / total);
    done += weight;
    const key = cudaKey(conv);
    if (key in table[part]) continue;
    if (now() >= end) break;
    const usual: string = base[part](conv);
    const others = openForms(conv)[part].filter(
      (form) => form !== usual && (lost.get(`${part} ${form}`) ?? 0) < hopeless.layers,
    );
    const forms = [usual, ...others];
    const times = await bench.times(conv, part, forms);
    const best = times.indexOf(Math.min(...times));
    for (const [i, form] of forms.entries()) {
      const name = `${part} ${form}`;
      lost.set(name, times[i]! > hopeless.times * times[best]! ? (lost.get(name) ?? 0) + 1 : 0);
    }
    table[part][key] = usual;
    if (times[best]! >= margin * times[0]!) continue;
    const again = Number.isFinite(times[0])
      ? await bench.times(conv, part, [usual, forms[best]!])
      : [Infinity, 0];
    if (again[1]! < margin * again[0]!) table[part][key] = forms[best]!;
  }
  return table as CudaChoiceTable;
}

interface WeighedQuestion extends Pick<CudaQuestion, 'conv' | 'part'> {
  /** Rough cost of all layers that ask it. */
  readonly weight: number;
}

/** Each question once, the costliest first. */
function distinct(questions: readonly CudaQuestion[]): WeighedQuestion[] {
  const found = new Map<string, WeighedQuestion>();
  for (const { conv, part } of questions) {
    const key = `${part} ${cudaKey(conv)}`;
    found.set(key, { conv, part, weight: (found.get(key)?.weight ?? 0) + cost(conv) });
  }
  return [...found.values()].sort((a, b) => b.weight - a.weight);
}

/** Rough microseconds on a data-centre GPU: arithmetic, the maps' way through memory, and launching it. */
function cost({ batch, inputs, outputs, window, inputSize, outputSize, group, dtype }: CudaConv): number {
  const positions = batch * outputSize[0] * outputSize[1];
  const products = (2 * positions * inputs * outputs * window[0] * window[1]) / group;
  const elements = batch * inputs * inputSize[0] * inputSize[1] + positions * outputs;
  const bytes = elements * (dtype === 'float16' ? 2 : 4);
  return products / 100e6 + bytes / 1e6 + 10;
}
