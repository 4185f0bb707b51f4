import { expect } from 'chai';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { slimclr, slimclrAs, start, writeTinyConfig } from './slimclr.js';
import { removeFolder } from '../support/removeFolder.js';

describe('command line errors: one line on stderr, nothing on stdout', () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'slimclr-cli-'));
  });
  after(() => removeFolder(root));

  /** Exit code 2 and one line that matches. */
  async function expectUsageError(args: string[], message: RegExp): Promise<void> {
    const outcome = await slimclr(...args);
    expect(outcome.stderr).to.match(/^slimclr: [^\n]*\n$/);
    expect(outcome.stderr).to.match(message);
    expect(outcome).to.include({ code: 2, stdout: '' });
  }

  const output = () => join(root, 'run');

  it('unknown command: the nearest one', () =>
    expectUsageError(['pretran'], /unknown command 'pretran' \(Did you mean pretrain\?\)/));

  it('what a terminal would obey is shown', async () => {
    await expectUsageError(['\x1b[31mpretrain'], /unknown command '\\x1b\[31mpretrain'/);
    await expectUsageError(
      ['pretrain', '--preset', 'cifar10-resnet20', '--set', 'data.sourc\x1b[2J=1', '--output', output()],
      /unknown key "data\.sourc\\x1b\[2J"/,
    );
  });

  it('unknown option: the nearest one', () =>
    expectUsageError(
      ['pretrain', '--presett', 'x'],
      /unknown option '--presett' \(Did you mean --preset\?\)/,
    ));

  it('missing argument', () => expectUsageError(['knn'], /missing required argument 'run'/));

  it('option value out of range: what is accepted', () =>
    expectUsageError(['knn', output(), '--k', '0'], /'--k <count>' argument '0' is invalid.*>= 1/));

  it('diagnose of no steps', () =>
    expectUsageError(
      ['diagnose', output(), '--batches', '0'],
      /'--batches <count>' argument '0' is invalid.*>= 1/,
    ));

  it('export: options of fine-tuning on a device that are out of range or do not go together', async () => {
    const cases: [string[], RegExp][] = [
      [['--training', '--classes', '1'], /'--classes <count>' argument '1' is invalid.*>= 2/],
      [
        ['--training', '--trainable', 'head'],
        /'--trainable <layers>' argument 'head'.* classifier, stage, all/,
      ],
      [['--learning-rate', '0.1'], /--learning-rate .*accepted: together with --training/],
      [['--training', '--head'], /'--training' cannot be used with option '--head'/],
      [['--training', '--shared'], /--shared is for models that infer; accepted: without --training/],
      [['--training', '--outputs', 'layer2'], /--outputs .*accepted: without --training/],
      [
        ['--training', '--classes', '3', '--classifier'],
        /'--classes <count>' cannot be used with .*--classifier/,
      ],
      [['--classes', '3'], /--classes .*accepted: together with --training/],
      [['--trainable', 'stage'], /--trainable .*accepted: together with --training/],
    ];
    for (const [options, message] of cases) await expectUsageError(['export', output(), ...options], message);
  });

  it('evaluation: a protocol, a share of labels and widths that there are not', async () => {
    await expectUsageError(
      ['probe', output(), '--protocol', 'foo'],
      /'--protocol <protocol>' argument 'foo' is invalid.* features, ridge, shared, augmented\./,
    );
    for (const share of ['0', '101%', 'few']) {
      await expectUsageError(
        ['finetune', output(), '--labels', share],
        /is invalid.*a percentage such as 1%/,
      );
    }
    await expectUsageError(['finetune', output()], /'--labels <share>' not specified/);
    await expectUsageError(
      ['finetune', output(), '--labels', '1%', '--widths', '1,half'],
      /argument '1,half' is invalid.*Accepted: a number/,
    );
  });

  it('unknown preset: the nearest one', () =>
    expectUsageError(
      ['pretrain', '--preset', 'cifar10-resnet02', '--output', output()],
      /unknown preset "cifar10-resnet02".*did you mean "cifar10-resnet20"\?/,
    ));

  it('unknown key in --set: the nearest one', () =>
    expectUsageError(
      ['pretrain', '--preset', 'cifar10-resnet20', '--set', 'epoch=3', '--output', output()],
      /unknown key "epoch"; did you mean "epochs"\?/,
    ));

  it('values that --tune, --block and runtime.tune do not have', async () => {
    const preset = ['--preset', 'cifar10-resnet20', '--output', output()];
    await expectUsageError(['pretrain', ...preset, '--tune', 'always'], /'always' is invalid.*auto, off/);
    await expectUsageError(['graph', 'build', ...preset, '--block', '12'], /'12' is invalid.*8, 16/);
    await expectUsageError(
      ['pretrain', ...preset, '--set', 'runtime.tune=on'],
      /runtime.tune is "on"; accepted: "auto", "off"/,
    );
  });

  it('graph build: a block size for graphs that have no blocks, a tuning file that is none', async () => {
    const preset = ['--preset', 'cifar10-resnet20', '--output', output()];
    await expectUsageError(
      ['graph', 'build', ...preset, '--set', 'runtime.target=portable', '--block', '8'],
      /--block is for the cpu target; runtime.target of the config is "portable"/,
    );
    await expectUsageError(
      ['graph', 'build', ...preset, '--tuning', join(root, 'none.json')],
      /none.json: no such file; accepted: tuning.json of a run/,
    );
  });

  it('batch size that does not divide the queue', () =>
    expectUsageError(
      ['pretrain', '--preset', 'cifar10-resnet20', '--set', 'batchSize=63', '--output', output()],
      /method.queueSize 1024 is not a multiple of batchSize 63/,
    ));

  it('no config, and no output', async () => {
    await expectUsageError(['pretrain', '--output', output()], /neither --preset nor --config; accepted/);
    await expectUsageError(['pretrain', '--preset', 'cifar10-resnet20'], /--output is missing; accepted/);
  });

  it('--resume of a folder that holds no run', () =>
    expectUsageError(['pretrain', '--resume', '--output', root], /no run to resume/));

  it('--resume without a checkpoint', () => {
    const config = writeTinyConfig(root, root);
    return expectUsageError(['pretrain', '--config', config, '--resume', '--output', root], /no checkpoint/);
  });

  it('images: a folder that does not exist', () => {
    const config = writeTinyConfig(root, join(root, 'nowhere'));
    return expectUsageError(
      ['pretrain', '--config', config, '--output', output()],
      /data source .*nowhere does not exist; accepted: /,
    );
  });

  it('images: an empty folder', () => {
    const folder = join(root, 'empty');
    mkdirSync(folder);
    const config = writeTinyConfig(root, folder);
    return expectUsageError(['pretrain', '--config', config, '--output', output()], /no images in .*empty/);
  });

  it('images: one image for a batch of 8', async () => {
    const folder = join(root, 'single');
    mkdirSync(folder);
    const create = { width: 16, height: 16, channels: 3, background: 'red' } as const;
    await sharp({ create }).toFile(join(folder, 'red.png'));
    const config = writeTinyConfig(root, folder);
    await expectUsageError(
      ['pretrain', '--config', config, '--output', output()],
      /single: 1 image, fewer than batchSize 8/,
    );
  });

  for (const command of ['knn', 'probe', 'export', 'report', 'finetune --labels 1%']) {
    it(`${command} of a folder that is no run`, () =>
      expectUsageError([...command.split(' '), join(root, 'nowhere')], /nowhere.*accepted/));
  }

  it('what the operating system refuses: exit code 1, no talk of a defect', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    const outcome = await slimclr('data', 'fetch', 'cifar10', '--cache', file);
    expect(outcome.stderr)
      .to.match(/^slimclr: [^\n]*ENOTDIR[^\n]*\n$/)
      .and.not.match(/defect/);
    expect(outcome).to.include({ code: 1, stdout: '' });
  });

  it('an error that nobody foresaw: exit code 1, one line that calls it a defect', async () => {
    const preload = join(root, 'preload.cjs');
    writeFileSync(preload, "process.once('beforeExit', () => { throw new TypeError('not\\nforeseen'); });");
    const env = { ...process.env, NODE_OPTIONS: `--require ${preload}` };
    const { code, stderr } = await slimclrAs({ env }, 'config', 'show', 'cifar10-resnet20');
    expect(stderr).to.equal('slimclr: not foreseen (a defect of slimclr; --stack shows where)\n');
    expect(code).to.equal(1);
  });

  it('--stack: the line, then the stack trace with its cause', async () => {
    const config = join(root, 'torn.json');
    writeFileSync(config, '{');
    const { code, stderr } = await slimclr('pretrain', '--config', config, '--output', output(), '--stack');
    expect(code).to.equal(2);
    expect(stderr).to.match(
      /^slimclr: config: [^\n]* is not JSON[^\n]*\nUsageError: [^]*\n +at [^]*\[cause\]: SyntaxError/,
    );
  });

  it('a reader that closes its end: no error', async () => {
    const { child, exited } = start('pretrain', '--preset', 'cifar10-resnet20', '--dry-run');
    child.stdout!.destroy();
    expect(await exited).to.include({ code: 0, stderr: '' });
  });
});
