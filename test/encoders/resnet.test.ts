import { expect } from 'chai';
import { configSchema, type ConfigInput } from '../../src/config/schema.js';
import { countParameters, inferenceGraph } from '../../src/export/inferenceGraph.js';
import { countMultiplyAdds } from '../../src/programs/flops.js';
import { networkOf } from '../../src/methods/index.js';

/** Parameters and multiply-adds of the encoder at a width with a classifier of so many classes. */
function size(input: ConfigInput, width: number, classes: number) {
  const config = configSchema.parse(input);
  const network = networkOf(config);
  const graph = inferenceGraph(network, config, width, { classes });
  return { parameters: countParameters(network, graph, width), multiplyAdds: countMultiplyAdds(graph) };
}

describe('ResNet-50, imagenet stem, 224 x 224, 1000 classes: sizes of the paper (docs/method.md)', () => {
  const config: ConfigInput = {
    encoder: { name: 'resnet50', stem: 'imagenet' },
    data: { imageSize: 224 },
  };
  // With the distance that printing may cause: the paper rounds some numbers and truncates others (25.557 -> 25.5, 1.994 -> 2.0).
  const published: { width: number; parameters: [number, number]; multiplyAdds: [number, number] }[] = [
    { width: 1, parameters: [25.5e6, 0.1e6], multiplyAdds: [4.1e9, 0.05e9] },
    { width: 0.75, parameters: [14.7e6, 0.1e6], multiplyAdds: [2.3e9, 0.05e9] },
    { width: 0.5, parameters: [6.9e6, 0.1e6], multiplyAdds: [1.1e9, 0.05e9] },
    { width: 0.25, parameters: [2.0e6, 0.1e6], multiplyAdds: [278e6, 0.5e6] },
  ];
  for (const { width, parameters, multiplyAdds } of published) {
    it(`width ${width}: ${parameters[0] / 1e6}M parameters, ${multiplyAdds[0] / 1e9}G multiply-adds`, () => {
      const found = size(config, width, 1000);
      expect(found.parameters).to.be.closeTo(...parameters);
      expect(found.multiplyAdds).to.be.closeTo(...multiplyAdds);
    });
  }

  it("width 1: exactly torchvision's 25,557,032 parameters", () => {
    expect(size(config, 1, 1000).parameters).to.equal(25_557_032);
  });
});
