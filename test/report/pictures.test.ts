import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { viewAugmentations } from '../../src/config/augmentation.js';
import { formatConfig } from '../../src/config/format.js';
import { configSchema } from '../../src/config/schema.js';
import { ViewLoader } from '../../src/data/loader.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { augmentedViews } from '../../src/report/augmentedViews.js';
import { readPictures } from '../../src/report/pictures.js';
import { writeReport } from '../../src/report/report.js';
import { readRun } from '../../src/report/run.js';
import { denormalized, thumbnail } from '../../src/report/thumbnail.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { removeFolder } from '../support/removeFolder.js';

describe('pictures of a run on a folder of images', function () {
  this.timeout(60_000);
  let run: TinyRun;
  beforeEach(async () => {
    run = await makeTinyRun();
    await writeFile(join(run.folder, 'config.json'), formatConfig(run.config));
  });
  afterEach(() => removeFolder(dirname(run.folder)));

  const evaluate = () => evaluateKnn(run.folder, { testSource: run.test, k: 3 });

  it('views: those that the loader renders in the first epoch, for the same images', async () => {
    const { data, seed, augmentation } = run.config;
    const loader = await ViewLoader.open({
      ...data,
      seed,
      batchSize: 4,
      augmentations: viewAugmentations(augmentation),
      workers: 2,
    });
    try {
      const { views } = await loader.batch(0, 0);
      const images = await augmentedViews(run.config, 3);
      expect(images).to.have.length(3);
      for (const [i, { views: shown }] of images.entries()) {
        const expected = views.map((view) => {
          const size = 3 * data.imageSize ** 2;
          const input = view.subarray(i * size, (i + 1) * size);
          return thumbnail(denormalized(input, data.imageSize, data.mean, data.std));
        });
        expect(shown).to.deep.equal(await Promise.all(expected));
      }
    } finally {
      await loader.close();
    }
  });

  it('views of supervised training: one an image', async () => {
    const config = configSchema.parse({ ...run.config, method: { kind: 'supervised' } });
    const [first] = await augmentedViews(config, 1);
    expect(first!.views).to.have.length(1);
  });

  it('neighbours: a query a class, at each width five training images, of the same colour class when marked', async () => {
    await evaluate();
    const { neighbours } = await readPictures(await readRun(run.folder));
    if (typeof neighbours === 'string') throw new Error(neighbours);
    expect(neighbours.map(({ className }) => className)).to.deep.equal(['blue', 'red']);
    for (const { className, widths } of neighbours) {
      expect(widths.map(({ label }) => label)).to.deep.equal(['w1.00', 'w0.50']);
      for (const { neighbours: nearest } of widths) {
        expect(nearest).to.have.length(5);
        const cosines = nearest.map(({ cosine }) => cosine);
        expect(cosines).to.deep.equal([...cosines].sort((a, b) => b - a));
        for (const neighbour of nearest) {
          const [red, , blue] = (
            await sharp(Buffer.from(neighbour.image.split(',')[1]!, 'base64')).stats()
          ).channels.map(({ mean }) => mean) as [number, number, number];
          expect(neighbour.className).to.equal(red > blue ? 'red' : 'blue');
          expect(neighbour.sameClass).to.equal(neighbour.className === className);
        }
      }
    }
  });

  it('a report of the run has them; without features and images it says what to do', async () => {
    await evaluate();
    const file = await writeReport(run.folder);
    const page = await readFile(file, 'utf8');
    expect(page.split('alt="view 2"')).to.have.length(1 + 8);
    expect(page.split('class="query"')).to.have.length(1 + 2);
    await rm(join(run.folder, 'features'), { recursive: true });
    const noFeatures = await readPictures(await readRun(run.folder));
    expect(noFeatures.neighbours).to.match(/^Run `slimclr knn .*` again to see nearest neighbours: the features of width 1 /); // prettier-ignore
    await rm(run.train, { recursive: true });
    const nothing = await readPictures(await readRun(run.folder));
    expect(nothing.views).to.match(
      /^The training images are not available any more: data source .* does not exist; /,
    );
    expect(nothing.neighbours).to.be.a('string');
  });
});
