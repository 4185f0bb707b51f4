import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { slimclr } from './slimclr.js';
import { removeFolder } from '../support/removeFolder.js';

describe('slimclr data info', function () {
  this.timeout(60_000);
  let folder: string;
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'slimclr-info-'))));
  afterEach(() => removeFolder(folder));

  it('names with control characters, what is skipped, not used, and blank: one readable line each', async () => {
    const evil = 'a\x1b[2J\x1b]0;owned\x07';
    await mkdir(join(folder, evil));
    await mkdir(join(folder, '@eaDir'));
    const png = await sharp({ create: { width: 8, height: 6, channels: 3, background: 'black' } })
      .png()
      .toBuffer();
    await writeFile(join(folder, evil, 'x.png'), png);
    await writeFile(join(folder, evil, 'y\n\x9b31m.png'), 'no image');
    await writeFile(join(folder, evil, '1.heic'), 'x');
    await writeFile(join(folder, evil, '._x.png'), 'x');
    const { code, stdout, stderr } = await slimclr('data', 'info', folder);
    expect(code).to.equal(0);
    // eslint-disable-next-line no-control-regex
    expect(stdout + stderr).not.to.match(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    const shown = 'a\\x1b[2J\\x1b]0;owned\\x07';
    expect(stdout.split('\n')).to.include.members([
      `${folder}: 1 image`,
      `${shown}       1`,
      '1 file skipped:',
      `  ${shown}/y\\x0a\\x9b31m.png: is no image; accepted: JPEG, PNG, WebP, GIF, AVIF or TIFF`,
      'not used: images of formats that are not decoded (1 .heic), system folders (1 @eaDir), hidden images (1)',
      `${folder}: 1 of 1 images that were looked at, 100 %, are nearly constant (1 nearly black); ` +
        'there is little to learn from them',
    ]);
  });

  it('an error that names such a file shows its name', async () => {
    await writeFile(join(folder, 'a\x1b[31m.png'), '');
    const { code, stderr } = await slimclr('data', 'info', folder);
    expect(code).to.equal(2);
    expect(stderr).to.match(/no readable image in .*, the first a\\x1b\[31m\.png \(is empty\)\n$/);
  });

  it('--labels and --validation: classes of the file, what has no label, what is held out', async () => {
    const { data } = await sharp({ create: { width: 4, height: 4, channels: 3, background: 'teal' } })
      .png()
      .toBuffer({ resolveWithObject: true });
    for (let i = 0; i < 12; i++) await writeFile(join(folder, `${i}.png`), data);
    const labels = join(folder, 'labels.csv');
    const rows = Array.from({ length: 10 }, (_, i) => `${i}.png,${i < 6 ? 'cat' : 'dog'}`);
    await writeFile(labels, ['path,label', ...rows, 'gone.png,cat'].join('\n'));
    const { code, stdout } = await slimclr('data', 'info', folder, '--labels', labels, '--validation', '50%');
    expect(code).to.equal(0);
    const lines = stdout.split('\n');
    expect(lines[0]).to.equal(`${folder}: 12 images, 5 of them held out`);
    expect(lines).to.include.members([
      'class       images  held out',
      'cat              6         3',
      'dog              4         2',
      '(no label)       2         0',
      `${labels}: 2 of 12 images without a label`,
      `${labels}: 1 label of files that are not among the images: gone.png`,
    ]);
    const refused = await slimclr('data', 'info', folder, '--validation', 'half');
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.match(/data\.validation is "half"; it must be a share below 1/);
    const limited = await slimclr('data', 'info', folder, '--validation', '50%', '--limit', '5');
    expect(limited.code).to.equal(2);
    expect(limited.stderr).to.match(/'--validation <share>' cannot be used with option '--limit <images>'/);
  });
});
