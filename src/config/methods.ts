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
    /**
     * Whether batch norm of the key encoder sees the images of a step in other micro-batches than that of the queries does
     * (docs/method.md, micro-batches). `auto`: with several replicas, as MoCo does with several GPUs.
     */
    shuffleKeys: z.enum(['auto', 'on', 'off']).default('auto'),
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

/** What the checks of a config know of a method beside its keys. */
export interface MethodTraits<K extends MethodName = MethodName> {
  /** Whether its head gives embeddings; class scores otherwise. */
  readonly embeds: boolean;
  /** Whether an image is told from other images of its step, and from nothing else. */
  readonly contrastsStep: boolean;
  /** Views of a micro-batch that are one batch of the network. */
  readonly viewsOfBatch: 1 | 2;
  /** Whether there are batch norms in its heads. */
  readonly normalizesHeads: boolean;
  /** Keys of its config that must name an ONNX file. */
  readonly models: readonly (keyof MethodOf<K> & string)[];
}

const plain = {
  embeds: true,
  contrastsStep: false,
  viewsOfBatch: 1,
  normalizesHeads: false,
  models: [],
} as const;

const traits: { readonly [K in MethodName]: MethodTraits<K> } = {
  'moco-v2': plain,
  'moco-v3': { ...plain, contrastsStep: true, normalizesHeads: true },
  simclr: { ...plain, contrastsStep: true, viewsOfBatch: 2, normalizesHeads: true },
  supervised: { ...plain, embeds: false },
  seed: { ...plain, models: ['teacher'] },
};

export function traitsOf({ kind }: Pick<MethodConfig, 'kind'>): MethodTraits {
  return traits[kind] as MethodTraits;
}

/** Whether the images of view 2 of a step are in another order than those of view 1 (`method.shuffleKeys`). */
export function shufflesKeys(method: MethodConfig, replicas: number): boolean {
  if (!('shuffleKeys' in method)) return false;
  return method.shuffleKeys === 'auto' ? replicas > 1 : method.shuffleKeys === 'on';
}

/** The keys of a method that name ONNX files, and the paths. */
export function modelPaths(method: MethodConfig): (readonly [key: string, path: string])[] {
  const values = method as Readonly<Record<string, unknown>>;
  return traitsOf(method).models.map((key) => [key, values[key] as string]);
}
