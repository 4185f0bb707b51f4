import { loadConfig } from '../../../src/config/load.js';
import type { Config } from '../../../src/config/schema.js';

const small = ['widths=[1,0.5]', 'batchSize=4'];
/** Every method, and what else changes the graphs of a step. */
const configs: Readonly<Record<string, readonly string[]>> = {
  'moco-v2': ['method.queueSize=16'],
  'moco-v3, LARS, clipped': ['method.kind=moco-v3', 'optimizer.kind=lars', 'optimizer.clipNorm=1'],
  'simclr, AdamW, micro-batches': ['method.kind=simclr', 'optimizer.kind=adamw', 'accumulation=2'],
  'supervised, dkd': ['method.kind=supervised', 'techniques.distillation.kind=dkd'],
  'supervised, atkd': ['method.kind=supervised', 'techniques.distillation.kind=atkd'],
  'seed, mse-features': [
    'method.kind=seed',
    'method.teacher=teacher.onnx',
    'method.queueSize=16',
    'techniques.distillation.kind=mse-features',
  ],
  'ResNet-18 with a max pool, switchable head': [
    'encoder.name=resnet18',
    'encoder.stem=imagenet',
    'method.queueSize=16',
    'techniques.head=switchable',
  ],
};

/** Small configs by title. */
export function webGpuConfigs(): [title: string, config: Config][] {
  return Object.entries(configs).map(([title, set]) => [
    title,
    loadConfig({ set: [...small, ...set, 'runtime.target=webgpu'] }),
  ]);
}
