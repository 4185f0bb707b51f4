import { expect } from 'chai';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.js';
import { Graph } from '../../src/graph/graph.js';
import type { BlockedKernels } from '../../src/engines/nchwcProbe.js';
import { DeclinedLayers, runTarget } from '../../src/training/runTarget.js';
import { recordHead, type TargetRecord } from '../../src/tuning/targetRecord.js';
import { rejection } from '../support/rejection.js';
import { stockPython, trainingPython } from '../support/pythons.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

describe('runTarget', () => {
  let cacheDirectory: string;
  before(() => {
    cacheDirectory = mkdtempSync(join(tmpdir(), 'slimclr-tuning-'));
  });
  after(() => removeFolder(cacheDirectory));

  async function run(
    recorded: TargetRecord | null,
    kernels: BlockedKernels,
    runtime: Partial<Config['runtime']> = {},
  ) {
    const notices: string[] = [];
    const config = tinyConfig('images');
    const record = await runTarget(
      { ...config, runtime: { ...config.runtime, ...runtime } },
      {
        recorded,
        cacheDirectory,
        probe: () => Promise.resolve(kernels),
        onNotice: (notice) => notices.push(notice),
      },
    );
    return { record, notices };
  }
  const choices = { folded: { 'a map': true }, winograd: {}, chunk: {} };
  const cpu = { ...recordHead, target: 'cpu', block: 16, plainGroups: true, choices } as const;
  const kernels = { blockSize: 16, plainGroups: true } as const;

  it('a resumed run keeps what it was lowered for', async () => {
    expect(await run(cpu, kernels)).to.deep.equal({ record: cpu, notices: [] });
    const portable = { ...recordHead, target: 'portable', reason: 'a bad day' } as const;
    expect(await run(portable, kernels)).to.deep.equal({ record: portable, notices: [] });
  });

  it('a run from a machine with other kernels: chosen again, one line says so', async () => {
    for (const change of [{ blockSize: 8 }, { plainGroups: false }] as const) {
      const { blockSize, plainGroups } = { ...kernels, ...change };
      const { record, notices } = await run(cpu, { blockSize, plainGroups });
      expect(record).to.include({ target: 'cpu', block: blockSize, plainGroups });
      expect(notices).to.have.length(1);
      expect(notices[0]).to.match(/begun on a machine or an engine with other kernels/);
    }
  });

  it('a library that does not load: that line alone, for a new run and one that is resumed', async () => {
    for (const recorded of [null, cpu]) {
      const notices: string[] = [];
      const config = tinyConfig('images', { runtime: { library: join(cacheDirectory, 'libnone.so') } });
      const error = await rejection(
        runTarget(config, { recorded, cacheDirectory, onNotice: (notice) => notices.push(notice) }),
      );
      expect(error.message).to.match(/libnone\.so cannot be loaded as ONNX Runtime \(/);
      expect(notices).to.deep.equal([]);
    }
  });

  it('a run from another engine, which has not its operators: chosen again, one line says so', async () => {
    const training = { ...recordHead, target: 'ort-training', cuda: false } as const;
    const { python, missing } = stockPython();
    for (const [recorded, runtime, target] of [
      [training, { engine: 'in-process' }, 'cpu'],
      ...(missing === '' ? [[training, { engine: 'python', python }, 'portable'] as const] : []),
      [cpu, { engine: 'python', python: 'python3' }, 'portable'],
    ] as const) {
      const { record, notices } = await run(recorded, kernels, { target: 'auto', ...runtime });
      expect(record.target).to.equal(target);
      expect(notices).to.have.length(1);
      expect(notices[0]).to.match(/begun on a machine or an engine with other kernels/);
    }
  });

  it(`a run of ort-training that goes on there: what it was lowered for${trainingPython().missing}`, async function () {
    const { python, missing } = trainingPython();
    if (missing !== '') this.skip();
    for (const cuda of [false, true]) {
      const training = { ...recordHead, target: 'ort-training', cuda } as const;
      const resumed = await run(training, kernels, { engine: 'python', python });
      expect(resumed).to.deep.equal({ record: training, notices: [] });
    }
  });

  it('kernels that take more than the run needs: it keeps what it was lowered for', async () => {
    const modest = { ...cpu, plainGroups: false };
    expect(await run(modest, kernels)).to.deep.equal({ record: modest, notices: [] });
  });

  it('a failed probe: portable, one line says why', async () => {
    const { record, notices } = await run(null, { reason: 'Conv gives wrong numbers' });
    expect(record.target).to.equal('portable');
    expect(notices).to.deep.equal([
      "portable graphs, whose steps take about twice as long: ONNX Runtime's blocked kernels cannot be used (Conv gives wrong numbers)",
    ]);
  });
});

describe('DeclinedLayers', () => {
  it('none: no line; several: one line with their number and the first of a training graph', () => {
    const declined = new DeclinedLayers();
    expect(declined.notice).to.equal(null);
    const of = (name: string) => {
      const graph = new Graph(name);
      graph.scope('layer1.conv', () => graph.add('Conv', '', [], []));
      return [graph, graph.nodes[0]!] as const;
    };
    declined.add(...of('embed.w1.00'));
    expect(declined.notice).to.equal(null);
    declined.add(...of('query.w0.75'));
    declined.add(...of('query.w0.50'));
    expect(declined.notice).to.match(/for 2 convolutions .*the first: layer1.conv\/Conv of query.w0.75$/);
  });
});
