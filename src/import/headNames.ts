import type { ConfigInput } from '../config/schema.js';
import { normTensorName, type ResNetNames } from './resnetNames.js';

type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** The head that a file has on its encoder. */
export interface HeadNames {
  /** For messages, such as `fc.0, fc.2`. */
  readonly text: string;
  /** The method that has such a head. */
  readonly method: ConfigInput['method'];
  /** Whether every width has its own, as the official SlimCLR's switchable heads. */
  readonly switchable: boolean;
  /** What the file calls a parameter or statistic of it. */
  nameOf(name: string): string;
}

/** By our names of layers, those of the modules; `root` lies beside the encoder. */
type Modules = Readonly<Record<string, { readonly module: string; readonly beside?: boolean }>>;

const mocoV2: Modules = { 'head.fc1': { module: 'fc.0' }, 'head.fc2': { module: 'fc.2' } };
const simclr: Modules = {
  'head.fc1': { module: 'fc.0' },
  'head.bn1': { module: 'fc.1' },
  'head.fc2': { module: 'fc.3' },
  'head.bn2': { module: 'fc.4' },
};
const mocoV3: Modules = {
  'projector.fc1': { module: 'fc.0' },
  'projector.bn1': { module: 'fc.1' },
  'projector.fc2': { module: 'fc.3' },
  'projector.bn2': { module: 'fc.4' },
  'predictor.fc1': { module: 'predictor.0', beside: true },
  'predictor.bn1': { module: 'predictor.1', beside: true },
  'predictor.fc2': { module: 'predictor.3', beside: true },
};

/** The head of a file that a method here has; null where there is none. */
export function detectHead(shapes: Shapes, names: ResNetNames): HeadNames | null {
  const shape = (name: string) => shapes.get(names.prefix + name)?.shape;
  /** Of a linear layer, also one for each width, of which the full width's is asked. */
  const linear = (name: string) => shape(`${name}.weight`) ?? shape(`${name}.linears.0.weight`);
  for (const classifier of ['fc', 'linear']) {
    const [classes, inputs] = linear(classifier) ?? [];
    // The embedding of MoCo v1 looks like a classifier, and no method here has it.
    if (
      classes === undefined ||
      classes < 2 ||
      inputs !== names.channels ||
      /encoder_[qk]\.$/.test(names.prefix)
    )
      continue;
    return head(shapes, names, { kind: 'supervised', classes }, { 'head.fc': { module: classifier } });
  }
  const [hidden] = linear('fc.0') ?? [];
  if (hidden === undefined) return null;
  const [two] = linear('fc.2') ?? [];
  if (two !== undefined) return head(shapes, names, { kind: 'moco-v2', dimension: two }, mocoV2);
  const [dimension] = linear('fc.3') ?? [];
  if (dimension === undefined) return null;
  const last = shape('fc.4.weight') ?? shape('fc.4.bn.0.weight');
  return last
    ? head(shapes, names, { kind: 'simclr', hiddenDimension: hidden, dimension }, simclr)
    : head(shapes, names, { kind: 'moco-v3', hiddenDimension: hidden, dimension }, mocoV3);
}

function head(
  shapes: Shapes,
  { prefix, root, widths }: ResNetNames,
  method: ConfigInput['method'],
  modules: Modules,
): HeadNames {
  const places = Object.values(modules);
  const switchable = shapes.has(`${prefix}${places[0]!.module}.linears.0.weight`);
  return {
    text: places.map(({ module }) => module).join(', '),
    method,
    switchable,
    nameOf(name) {
      // head.w0.50.fc1.weight of a switchable head, projector.bn1.w0.50.gamma of a batch norm.
      const [, part, label, layer, rest] = /^(\w+?)(?:\.w([\d.]+))?\.((?:fc|bn)\d?)\.(.+)$/.exec(name)!;
      const { module, beside = false } = modules[`${part}.${layer}`]!;
      const place = label === undefined ? module : `${module}.linears.${widths?.indexOf(Number(label)) ?? 0}`;
      return (beside ? root : prefix) + normTensorName(`${place}.${rest}`, widths);
    },
  };
}
