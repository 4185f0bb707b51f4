import { evaluationBatches } from '../data/evaluationBatches.js';
import type { Engine } from '../engines/engine.js';
import { floats } from '../engines/hostGraph.js';
import type { ProbeClassifiers } from '../evaluation/classifiers.js';
import { encoderBatchSize } from '../evaluation/features.js';
import type { LabelledImagesOptions } from '../evaluation/labelledImages.js';
import { openRunImages } from '../evaluation/runImages.js';
import type { Watch } from '../evaluation/runFeatures.js';
import type { TrainedRun } from '../evaluation/trainedRun.js';
import type { Graph } from '../graph/graph.js';
import { widthLabel } from '../nn/widthLabel.js';
import { encodeModel } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { emitFrozen } from '../programs/emitFrozen.js';
import { agreement, featuresOf } from '../quantization/agreement.js';
import { float16Graph } from '../quantization/float16Graph.js';
import { planQuantization } from '../quantization/planQuantization.js';
import { QuantizationAccuracy, type FeatureAccuracy } from '../quantization/quantizationAccuracy.js';
import { quantizeGraph } from '../quantization/quantizeGraph.js';
import { portable } from '../targets/portable.js';
import {
  conversionDefaults,
  slowerInt8,
  type Conversion,
  type ConversionOptions,
  type Quantization,
} from './conversion.js';
import { pairedLatency } from './pairedLatency.js';

type LowPrecision = 'float16' | 'int8';

/** What a conversion needs of an export. */
export interface ConvertedRun {
  /** Its config has the images' size. */
  readonly run: TrainedRun;
  /** The classifiers that accuracy is measured with; null: none. */
  readonly probe: ProbeClassifiers | null;
  /** The float32 graph of a width for any number of images, batch norm folded and weights bound. */
  readonly graphOf: (width: number) => Graph;
}

export type ConverterOptions = ConversionOptions &
  Watch &
  Pick<LabelledImagesOptions, 'source' | 'cacheDirectory'>;

/** A graph in another precision. */
interface Converted {
  readonly graph: Graph;
  /** Does the same to the graph of another form of the model. */
  readonly convert: (graph: Graph) => Graph;
  readonly cosine: number;
  readonly quantization: Quantization | null;
  /** Why the width stays float32; null: nothing is against it. */
  readonly refusal: string | null;
}

/** Converts the widths of a run to a precision. */
export class Converter {
  private constructor(
    private readonly precision: LowPrecision,
    private readonly converted: ConvertedRun,
    private readonly batches: readonly TensorData[],
    private readonly source: string,
    private readonly accuracy: QuantizationAccuracy | null,
    private readonly engine: Engine,
    private readonly options: ConverterOptions,
  ) {}

  /**
   * Reads the images; of options that `checkConversion` has seen. Throws a UsageError for images of the run that are not
   * there.
   */
  static async open(
    precision: LowPrecision,
    converted: ConvertedRun,
    engine: Engine,
    options: ConverterOptions,
  ): Promise<Converter> {
    const { run, probe } = converted;
    const { batches, source } = await calibrationImages(run, options);
    const accuracy = await QuantizationAccuracy.open(run, run.config, probe, engine, options);
    return new Converter(precision, converted, batches, source, accuracy, engine, options);
  }

  /** What becomes of a width, and what gives its graphs the precision; null: they stay float32. */
  async convert(
    width: number,
  ): Promise<{ readonly conversion: Conversion; readonly convert: ((graph: Graph) => Graph) | null }> {
    const { accuracy, batches, engine, precision, options } = this;
    const label = widthLabel(width);
    options.onProgress?.(`${label} in ${precision}`);
    const graph = this.converted.graphOf(width);
    const before = (await accuracy?.before(width)) ?? notMeasured;
    const measured = new Map<Graph, FeatureAccuracy>([[graph, before]]);
    const fits = async (candidate: Graph): Promise<boolean> => {
      const after = (await accuracy?.of(candidate, width)) ?? notMeasured;
      measured.set(candidate, after);
      return pointsLost(before, after) <= this.#maxDrop;
    };
    const made = await (precision === 'int8' ? this.#quantised(graph, fits) : this.#halved(graph, fits));
    const sides = [graph, made.graph] as const;
    const [floatBytes, bytes] = sides.map((side) => encodeModel(emitFrozen(side, portable)));
    const latency = await pairedLatency([floatBytes!, bytes!], batches[0]!, engine);
    const reason = made.refusal ?? (precision === 'int8' && !options.force ? slowerInt8(...latency) : null);
    return {
      conversion: {
        label,
        width,
        precision: reason === null ? precision : 'float32',
        reason,
        quantization: made.quantization,
        images: batches.reduce((sum, { shape }) => sum + shape[0]!, 0),
        source: this.source,
        cosine: made.cosine,
        test: accuracy?.test ?? null,
        before: { ...before, bytes: floatBytes!.length, latency: latency[0] },
        after: {
          ...(measured.get(made.graph) ?? before),
          bytes: bytes!.length,
          latency: latency[1],
        },
      },
      convert: reason === null ? made.convert : null,
    };
  }

  get #maxDrop(): number {
    return this.options.maxDrop ?? conversionDefaults.maxDrop;
  }

  async #quantised(graph: Graph, fits: (graph: Graph) => Promise<boolean>): Promise<Converted> {
    const { activations, calibration } = { ...conversionDefaults, ...this.options };
    const choice = { activations, calibration };
    const { settings, quantised, layers, float, cosine } = await planQuantization(
      graph,
      this.batches,
      choice,
      fits,
      this.engine,
    );
    return {
      graph: quantised,
      convert: (form) => quantizeGraph(form, settings),
      cosine,
      quantization: { ...choice, layers: layers.length, float },
      refusal:
        float.length < layers.length
          ? null
          : `kNN loses more than ${this.#maxDrop} points as soon as a layer is quantised`,
    };
  }

  async #halved(graph: Graph, fits: (graph: Graph) => Promise<boolean>): Promise<Converted> {
    const half = float16Graph(graph);
    const [exact, rounded] = [
      await featuresOf(graph, this.batches, this.engine),
      await featuresOf(half, this.batches, this.engine),
    ];
    return {
      graph: half,
      convert: float16Graph,
      cosine: agreement(rounded, exact),
      quantization: null,
      refusal: (await fits(half)) ? null : `kNN loses more than ${this.#maxDrop} points`,
    };
  }
}

const notMeasured: FeatureAccuracy = { knn: null, probe: null };

/** Of kNN; 0 where it is not measured. */
function pointsLost(before: FeatureAccuracy, after: FeatureAccuracy): number {
  return before.knn && after.knn ? 100 * (before.knn.top1 - after.knn.top1) : 0;
}

/** Training images of the run, or of other ones, as its encoder gets them: `[n, C, S, S]`. */
export async function calibrationImages({ config }: TrainedRun, options: ConverterOptions) {
  const { data } = config;
  const { images = conversionDefaults.images, cacheDirectory, source: other, onNotice } = options;
  const source = await openRunImages(
    config,
    {
      limit: images,
      ...(other !== undefined && { source: other }),
      ...(cacheDirectory !== undefined && { cacheDirectory }),
    },
    'other images to calibrate on (--source)',
  );
  for (const line of source.notices) onNotice?.(line);
  const { channels, imageSize, mean, std } = data;
  // The activations of all layers are held at the same time.
  const batchSize = Math.max(1, encoderBatchSize(imageSize) >> 2);
  const batches: TensorData[] = [];
  for await (const batch of evaluationBatches(source, { imageSize, mean, std, batchSize })) {
    batches.push(floats(batch.images, [batch.count, channels, imageSize, imageSize]));
  }
  return { batches, source: source.name };
}
