import { classifierTensors } from '../inferenceGraph.js';
import type { Network } from '../../programs/network.js';

/** What fine-tuning on a device trains: the classifier; the last stage, too; all layers. */
export const trainableLayers = ['classifier', 'stage', 'all'] as const;
export type TrainableLayers = (typeof trainableLayers)[number];

/** Which tensors of an inference graph are trained. The running statistics of batch norm never are. */
export function trainedTensors(
  { encoder, declarations }: Network,
  layers: TrainableLayers,
): (name: string) => boolean {
  const statistics = new Set(declarations.statistics.map(({ name }) => name));
  const ofClassifier = new Set<string>(Object.values(classifierTensors));
  return (name) => {
    if (ofClassifier.has(name)) return true;
    if (layers === 'classifier' || statistics.has(name)) return false;
    return layers === 'all' || name.startsWith(encoder.lastStage);
  };
}
