import { expect } from 'chai';
import { existsSync, readFileSync, truncateSync } from 'node:fs';
import { cp, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseConfig } from '../../src/config/load.js';
import type { LoggedEvent } from '../../src/training/events.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { slimclr, start, written, writeTinyConfig } from './slimclr.js';
import { removeFolder } from '../support/removeFolder.js';

function eventsOf(run: string): LoggedEvent[] {
  const lines = readFileSync(join(run, 'events.jsonl'), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as LoggedEvent);
}

describe('command line: a run of ResNet-20 at widths 1 and 0.5 on 16 images', () => {
  let root: string;
  let images: string;
  let testImages: string;
  let config: string;
  let run: string;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'slimclr-cli-'));
    [images, testImages, run] = [join(root, 'images'), join(root, 'test'), join(root, 'run')];
    await writeImages(images, 8, 1);
    await writeImages(testImages, 3, 2);
    config = writeTinyConfig(root, images);
    const outcome = await slimclr('pretrain', '--config', config, '--output', run);
    expect(outcome.stderr)
      .to.match(/training resnet20 at widths 1, 0.5 on 16 images/)
      .and.match(/\ndone after step 4/);
    expect(outcome).to.include({ code: 0, stdout: '' });
  });
  after(() => removeFolder(root));

  it('data info: images, sizes, classes', async () => {
    const { code, stdout } = await slimclr('data', 'info', images);
    expect(code).to.equal(0);
    expect(stdout)
      .to.match(/: 16 images\n/)
      .and.match(/\nwidth +16 +16 +16\n/)
      .and.match(/\nblue +8\nred +8\n$/);
  });

  it('--dry-run: the complete config on stdout, nothing written', async () => {
    const output = join(root, 'dry');
    const args = ['--config', config, '--set', 'epochs=7', '--output', output, '--dry-run'];
    const { code, stdout } = await slimclr('pretrain', ...args);
    expect(code).to.equal(0);
    expect(parseConfig(JSON.parse(stdout))).to.deep.include({ epochs: 7, batchSize: 8, widths: [1, 0.5] });
    expect(existsSync(output)).to.equal(false);
  });

  it('a run folder that holds a run: refused', async () => {
    const { code, stderr } = await slimclr('pretrain', '--config', config, '--output', run);
    expect(stderr).to.match(/^slimclr: .* already holds a run; --resume continues it[^\n]*\n$/);
    expect(code).to.equal(2);
  });

  it('--resume with another config: refused, the keys named', async () => {
    const { code, stderr } = await slimclr('pretrain', '--resume', '--set', 'seed=5', '--output', run);
    expect(stderr).to.match(/^slimclr: .*of another config: seed is 0 there, 5 here\n$/);
    expect(code).to.equal(2);
  });

  it('a truncated checkpoint: refused by --resume and knn', async () => {
    const torn = join(root, 'torn');
    await cp(run, torn, { recursive: true });
    const folder = join(torn, 'checkpoints');
    const newest = (await readdir(folder))
      .filter((name) => name.endsWith('.safetensors'))
      .sort()
      .at(-1)!;
    truncateSync(join(folder, newest), 1000);
    for (const args of [
      ['pretrain', '--resume', '--output', torn],
      ['knn', torn],
    ]) {
      const { code, stderr } = await slimclr(...args);
      expect(stderr).to.match(/^slimclr: .*the checkpoint is damaged[^\n]*\n$/);
      expect(code).to.equal(1);
    }
  });

  it('a width that the run does not have: refused by export', async () => {
    const { code, stderr } = await slimclr('export', run, '--width', '0.3');
    expect(stderr).to.match(/^slimclr: [^\n]*0\.3[^\n]*accepted[^\n]*\n$/);
    expect(code).to.equal(2);
  });

  it('knn, probe, export and report: a table with a line a width each', async () => {
    const evaluated = ['--test-source', testImages, '--baseline'];
    for (const [args, title] of [
      [['knn', run, '--k', '3', ...evaluated], 'kNN, k 3, temperature 0.1: 6 test images against 16 of '],
      [['probe', run, '--epochs', '2', ...evaluated], 'linear probe, 2 epochs'],
      [['probe', run, '--protocol', 'ridge', ...evaluated], 'linear probe, ridge regression, lambda '],
      [
        ['probe', run, '--protocol', 'augmented', '--epochs', '1', ...evaluated],
        'linear probe, augmented, 1 epochs, learning rate ',
      ],
      [
        ['finetune', run, '--labels', '50%', '--epochs', '2', ...evaluated],
        'fine-tuning, 2 epochs: trained on 8 images of ',
      ],
      [['export', run], ''],
      [['export', run, '--training', '--trainable', 'stage'], ''],
      [['report', run], ''],
    ] as const) {
      const { code, stdout, stderr } = await slimclr(...args);
      expect(code, stderr).to.equal(0);
      expect(stdout.startsWith(title), stdout).to.equal(true);
      expect(stdout).to.match(/^ *1\.00 .*\n *0\.50 /m);
    }
    expect(existsSync(join(run, 'report.html'))).to.equal(true);
    expect(existsSync(join(run, 'export', 'resnet20.w0.50.onnx'))).to.equal(true);
    expect(existsSync(join(run, 'export', 'resnet20.w0.50.training-stage', 'checkpoint'))).to.equal(true);
  });

  it('Ctrl-C: a checkpoint, exit code 130 and how to go on; --resume goes on to the end', async () => {
    const output = join(root, 'it is interrupted');
    const rare = ['--set', 'epochs=10', '--set', 'checkpoint.everyEpochs=10'];
    const { child, exited } = start('pretrain', '--config', config, ...rare, '--output', output);
    await written(child, 'epoch 1/10');
    child.kill('SIGINT');
    const { code, stderr } = await exited;
    expect(code).to.equal(130);
    const stop = eventsOf(output).findLast((event) => event.type === 'stop')!;
    expect(stop.reason).to.equal('interrupted');
    expect(stop.step).to.be.within(1, 19);
    expect(stderr).to.contain(
      `interrupted; \`slimclr pretrain --output '${output}' --resume\` goes on from there\n`,
    );

    const resumed = await slimclr('pretrain', '--output', output, '--resume');
    expect(resumed.stderr).to.contain(`going on after step ${stop.step}\n`);
    expect(resumed.code).to.equal(0);
    const events = eventsOf(output);
    expect(events.at(-1)).to.include({ type: 'stop', reason: 'done', step: 20 });
    const steps = events.flatMap((event) => (event.type === 'step' ? [event.step] : []));
    expect(steps).to.deep.equal(Array.from({ length: 20 }, (_, i) => i));
  });

  it('Ctrl-C twice: ends at once, inside a step', async () => {
    const output = join(root, 'killed');
    const heavy = [
      '--tune',
      'off',
      '--set',
      'data.imageSize=224',
      '--set',
      'batchSize=16',
      '--set',
      'epochs=100',
    ];
    const { child, exited } = start('pretrain', '--config', config, ...heavy, '--output', output);
    const log = join(output, 'events.jsonl');
    while (!existsSync(log) || !readFileSync(log, 'utf8').includes('"type":"step"')) await sleep(50);
    // Between two steps it would end well at once.
    await sleep(700);
    child.kill('SIGINT');
    await written(child, 'SIGINT: writing a checkpoint after this step');
    await sleep(300);
    child.kill('SIGINT');
    const { signal, stderr } = await exited;
    expect(signal, stderr).to.equal('SIGINT');
    expect(stderr).to.not.contain('interrupted');
  });
});
