import { expect } from 'chai';
import { withoutDefaults } from '../../../src/engines/hostGraph.js';
import { ortLibrary } from '../../../src/engines/ortLibrary.js';
import { appendWebGpu } from '../../../src/engines/webgpu/webGpuRoom.js';
import { methodPrograms } from '../../../src/methods/index.js';
import { encodeModel } from '../../../src/onnx/model.js';
import { emit } from '../../../src/targets/emit.js';
import { lower } from '../../../src/targets/lower.js';
import { portable } from '../../../src/targets/portable.js';
import type { Target } from '../../../src/targets/target.js';
import { webgpu } from '../../../src/targets/webgpu/index.js';
import { noWebGpu } from '../../support/webGpu.js';
import { webGpuConfigs } from './configs.js';

/** Loads a model on the device; ONNX Runtime refuses it where a node is left to the CPU. */
async function loadOnDeviceAlone(model: Uint8Array): Promise<void> {
  const { api, environment } = ortLibrary();
  const options = api.createSessionOptions();
  api.setSessionLogSeverityLevel(options, 4);
  api.addSessionConfigEntry(options, 'session.disable_cpu_ep_fallback', '1');
  appendWebGpu(api, options);
  api.releaseSession(await api.createSessionFromArray(environment, model, model.length, options));
  api.releaseSessionOptions(options);
}

function models(config: Parameters<typeof methodPrograms>[0], target: Target) {
  const weights = { location: '', find: () => ({ offset: 0, length: 0 }) };
  return methodPrograms(config).programs.map(({ name, graph }) => {
    const model = emit(lower(graph, target), { opset: target.opset, version: '', weights });
    return { name, bytes: encodeModel(withoutDefaults(model)) };
  });
}

describe('webgpu target on its device: not one node on the CPU', function () {
  this.timeout(120_000);

  before(async function () {
    const reason = await noWebGpu();
    if (reason === null) return;
    this.test!.parent!.title += ` (not here: ${reason})`;
    this.skip();
  });

  for (const [title, config] of webGpuConfigs()) {
    it(title, async () => {
      for (const { name, bytes } of models(config, webgpu)) {
        let refusal = '';
        await loadOnDeviceAlone(bytes).catch((error: Error) => (refusal = error.message));
        expect(refusal, name).to.equal('');
      }
    });
  }

  it('the portable graphs leave some to the CPU, and are refused', async () => {
    const [[, config]] = webGpuConfigs() as [[string, Parameters<typeof methodPrograms>[0]]];
    const { bytes } = models(config, portable).find(({ name }) => name === 'query.w1.00')!;
    let refusal = '';
    await loadOnDeviceAlone(bytes).catch((error: Error) => (refusal = error.message));
    expect(refusal).to.match(/CPU/);
  });
});
