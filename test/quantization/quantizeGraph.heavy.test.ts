import { expectIntegerKernels } from './quantized.js';

describe('quantizeGraph: larger encoders', function () {
  this.timeout(60_000);

  const encoders = {
    resnet18: { QLinearConv: 20, QLinearAdd: 8, NhwcMaxPool: 1 },
    resnet50: { QLinearConv: 53, QLinearAdd: 16, NhwcMaxPool: 1 },
  } as const;

  for (const name of ['resnet18', 'resnet50'] as const) {
    it(`${name}: ONNX Runtime fuses every node into an integer kernel`, async () => {
      await expectIntegerKernels(name, 'uint8', encoders[name]);
    });
  }
});
