import { expect } from 'chai';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatProfile } from '../../src/cli/profileTable.js';
import type { GraphProfile, Profile } from '../../src/profile/stepProfiler.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { tinyConfig } from '../training/tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

describe('profile of ResNet-20 at widths 1 and 0.5, 18 steps', function () {
  this.timeout(60_000);
  let folder: string;
  let profile: Profile;
  const events: TrainingEvent[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-profile-'));
    const images = join(folder, 'images');
    await writeImages(images, 24, 1);
    await pretrain({
      config: tinyConfig(images, {
        techniques: { slowStart: { kind: 'none' } },
        runtime: { target: 'portable' },
        // Kernels of smaller images are so short that what is between them takes as long.
        data: { imageSize: 32 },
      }),
      runFolder: folder,
      profile: true,
      onEvent: (event) => events.push(event),
    });
    profile = JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8')) as Profile;
  });
  after(() => removeFolder(folder));

  const graph = (name: string): GraphProfile => profile.graphs.find((entry) => entry.name === name)!;

  it('is of the ten steps after the first two, and training goes on to the end', () => {
    expect(profile).to.include({ firstStep: 2, steps: 10 });
    expect(events.find(({ type }) => type === 'profile')).to.deep.equal({
      type: 'profile',
      step: 12,
      file: join(folder, 'profile.json'),
    });
    expect(events.at(-1)).to.include({ type: 'stop', reason: 'done', step: 18 });
  });

  it('graphs, loader and the rest make up the time of the steps that the event log has', () => {
    const steps = events.filter((event) => event.type === 'step').slice(2, 12);
    const mean = (values: readonly number[]) => (1000 * values.reduce((a, b) => a + b)) / values.length;
    const inRuns = profile.graphs.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    expect(inRuns).to.be.closeTo(mean(steps.map(({ computeSeconds }) => computeSeconds)), 1e-6);
    expect(profile.loader).to.be.closeTo(mean(steps.map(({ loaderSeconds }) => loaderSeconds)), 1e-6);
    expect(profile.other).to.be.within(0, profile.milliseconds);
    expect(inRuns + profile.loader + profile.other).to.be.closeTo(profile.milliseconds, 1e-6);
  });

  it('warm-up is left out: each kernel of a query graph is called once a step', () => {
    const query = graph('query.w0.50');
    expect(query.runs).to.equal(1);
    const convolutions = query.kernels.filter(
      ({ operator, pass }) => operator.includes('Conv') && pass === 'forward',
    );
    // ResNet-20: the stem, 18 convolutions in the blocks, 2 in shortcuts.
    expect(convolutions.reduce((sum, { calls }) => sum + calls, 0)).to.equal(21);
  });

  it('kernels by layer and pass: a convolution has both in query graphs, the key graph is forward only', () => {
    const passes = (name: string, layer: string) =>
      new Set(
        graph(name)
          .kernels.filter((kernel) => kernel.layer === layer)
          .map(({ pass }) => pass),
      );
    expect(passes('query.w1.00', 'encoder.layer1.0.conv1')).to.have.all.keys('forward', 'backward');
    expect(passes('key', 'encoder.layer1.0.conv1')).to.have.all.keys('forward');
  });

  it('kernels take most of the time of their graph, and no more than it', () => {
    for (const name of ['query.w1.00', 'query.w0.50', 'key']) {
      const { kernels, milliseconds } = graph(name);
      const inKernels = kernels.reduce((sum, kernel) => sum + kernel.milliseconds, 0);
      expect(inKernels, name).to.be.within(0.5 * milliseconds, milliseconds);
    }
  });

  it('leaves no trace files behind', () => {
    expect(readdirSync(folder).filter((name) => name.startsWith('traces'))).to.deep.equal([]);
    expect(existsSync(join(folder, 'checkpoints'))).to.equal(true);
  });

  it('as a table: the split of the step, operators, layers', () => {
    const text = formatProfile(profile);
    expect(text).to.match(/^steps 3 to 12, means of a step\n/);
    for (const line of ['query.w1.00', 'waiting for the loader', 'everything else', 'between operators']) {
      expect(text).to.match(new RegExp(`^${line} +.*\\d+\\.\\d %$`, 'm'));
    }
    expect(text).to.match(/^encoder\.layer\d\.\d\.\w+( +\d+\.\d){4} %$/m);
  });
});
