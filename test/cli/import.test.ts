import { expect } from 'chai';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixture } from '../import/comparison.js';
import { slimclr } from './slimclr.js';
import { removeFolder } from '../support/removeFolder.js';

describe('command line: import', () => {
  let root: string;
  before(async () => (root = await mkdtemp(join(tmpdir(), 'slimclr-cli-import-'))));
  after(() => removeFolder(root));

  it('what was taken on stdout, and the folder of a run', async () => {
    const output = join(root, 'run');
    const outcome = await slimclr('import', fixture('slimclr.pth'), '--output', output, '--widths', '1');
    expect(outcome.code, outcome.stderr).to.equal(0);
    expect(outcome.stdout.trim().split('\n')).to.deep.equal([
      "resnet20, cifar stem, widths 1, images of 32 pixels, by the official SlimCLR's names",
      'with the head of moco-v2',
      'left out: batch norm of w0.50, module.encoder_k.* (12 tensors), module.queue, module.queue_ptr',
    ]);
    expect(readdirSync(output)).to.have.members(['config.json', 'checkpoints']);
  });

  it('a pickle that calls os.system: one line, exit code 1, nothing executed and no folder', async () => {
    const output = join(root, 'evil');
    const outcome = await slimclr('import', fixture('evil.pth'), '--output', output);
    expect(outcome).to.include({ code: 1, stdout: '' });
    const lines = outcome.stderr
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('reading '));
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(/^slimclr: test\/import\/fixtures\/evil\.pth: the pickle names \w+\.system, /);
    expect(existsSync(output)).to.equal(false);
    expect(readdirSync('.')).to.not.include('executed-by-a-pickle');
  });

  it('widths out of range, --init with --resume: wrong usage', async () => {
    const usage = async (args: string[], message: RegExp) => {
      const outcome = await slimclr(...args);
      expect(outcome).to.include({ code: 2, stdout: '' });
      expect(outcome.stderr).to.match(message);
    };
    const file = fixture('plain.pth');
    await usage(['import', file], /required option '--output <folder>' not specified/);
    await usage(
      ['import', file, '--output', join(root, 'x'), '--widths', '2'],
      /'--widths <widths>' argument '2' .*1 at most/,
    );
    await usage(
      ['import', file, '--output', join(root, 'x'), '--widths', '0.5'],
      /widths is \[0\.5\]; it must start with 1/,
    );
    await usage(
      ['pretrain', '--output', join(root, 'x'), '--resume', '--init', file],
      /--init is for a run that begins; accepted with --resume auto/,
    );
  });
});
