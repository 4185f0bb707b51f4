import { z } from 'zod';

const positiveInteger = z.int().positive();
const temperature = z.number().positive();
const momentum = z.number().min(0).max(1);

/**
 * Linear layers of the head at the start. `normal`: N(0, 0.01), biases 0, the paper's. `uniform`: within
 * 1 / sqrt(inputs), PyTorch's default and MoCo's; features of small encoders collapse without it.
 */
const headInitialization = z.enum(['normal', 'uniform']).default('normal');

/** The frameworks (docs/method.md); with a single width each is its plain, not slimmable self. */
export const methodSchema = z.discriminatedUnion('kind', [
  /** SlimCLR-MoCo v2: a queue of keys of a momentum encoder. */
  z.strictObject({
    kind: z.literal('moco-v2'),
    temperature: temperature.default(0.2),
    queueSize: positiveInteger.default(65536),
    /** Momentum of the key encoder. */
    keyMomentum: momentum.default(0.999),
    /** Dimension of the embedding that the loss sees. */
    dimension: positiveInteger.default(128),
    headInitialization,
  }),
  /** SlimCLR-MoCo v3: keys of the batch, both views in both roles, a predictor behind the projector. */
  z.strictObject({
    kind: z.literal('moco-v3'),
    temperature: temperature.default(1),
    /** Momentum of the key encoder at the start; it goes to 1 along half a cosine. */
    keyMomentum: momentum.default(0.99),
    /** Hidden units of projector and predictor at full width. */
    hiddenDimension: positiveInteger.default(4096),
    dimension: positiveInteger.default(256),
    headInitialization,
  }),
  /** SlimCLR-SimCLR: NT-Xent between all views of a batch, no second encoder. */
  z.strictObject({
    kind: z.literal('simclr'),
    temperature: temperature.default(0.1),
    /** Hidden units of the projector at full width. */
    hiddenDimension: positiveInteger.default(2048),
    dimension: positiveInteger.default(128),
    headInitialization,
  }),
  /** Supervised slimmable training (Yu et al., Slimmable Neural Networks, 2019): labels, one view. */
  z.strictObject({
    kind: z.literal('supervised'),
    /** Number of classes, which the images' labels must have. */
    classes: z.int().min(2).default(10),
    headInitialization,
  }),
  /** SEED (Fang et al., 2021): a frozen teacher, its queue, and a student that learns its similarities. */
  z.strictObject({
    kind: z.literal('seed'),
    /**
     * The teacher: an ONNX file that takes images `[N, 3, S, S]` as training does and gives embeddings `[N, dimension]`,
     * as `slimclr export --head` writes it (with `--size` where training has a data.viewSize).
     */
    teacher: z.string().default(''),
    temperature: temperature.default(0.2),
    teacherTemperature: temperature.default(0.01),
    queueSize: positiveInteger.default(65536),
    /** Dimension of the embedding, the teacher's. */
    dimension: positiveInteger.default(128),
    headInitialization,
  }),
]);

export type MethodConfig = z.infer<typeof methodSchema>;
export type MethodName = MethodConfig['kind'];
export type MethodOf<K extends MethodName> = Extract<MethodConfig, { kind: K }>;
