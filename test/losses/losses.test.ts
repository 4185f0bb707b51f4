import { expect } from 'chai';
import { Graph } from '../../src/graph/graph.js';
import { logitDistillation } from '../../src/losses/distillation.js';
import { contrastiveLogits, infoNce } from '../../src/losses/infoNce.js';
import { lossWeights } from '../../src/losses/reweighting.js';
import { Builder } from '../../src/ops/builder.js';
import { Random } from '../../src/random.js';
import { expectClose } from '../support/expectClose.js';
import { runGraph } from '../support/runGraph.js';
import { normal } from '../support/samples.js';

const float = (...shape: number[]) => ({ dtype: 'float32', shape }) as const;
/** Rows of a row-major matrix. */
const rows = (values: readonly number[], width: number) =>
  Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));

describe('losses', () => {
  it('contrastiveLogits: the positive first, then the whole queue, as inner products', async () => {
    const [n, d, k] = [3, 4, 5];
    const random = new Random(1);
    const feeds = { query: normal(random, n * d), keys: normal(random, n * d), queue: normal(random, k * d) };
    const graph = new Graph('logits');
    const b = new Builder(graph);
    const query = graph.input('query', float(n, d));
    const keys = graph.input('keys', float(n, d));
    graph.output('logits', contrastiveLogits(b, query, keys, graph.input('queue', float(k, d))));
    const { logits } = await runGraph(graph, feeds);

    const dot = (a: number[], c: number[]) => a.reduce((sum, x, i) => sum + x * c[i]!, 0);
    const expected = rows(feeds.query, d).flatMap((q, i) => [
      dot(q, rows(feeds.keys, d)[i]!),
      ...rows(feeds.queue, d).map((entry) => dot(q, entry)),
    ]);
    expectClose(logits!, expected, 1e-5);
  });

  it('InfoNCE equals -log(exp(l0 / T) / sum(exp(l / T))) averaged by a loop, large logits included', async () => {
    const [n, k, temperature] = [4, 6, 0.1];
    const logits = normal(new Random(2), n * (1 + k)).map((x) => 8 * x);
    const graph = new Graph('infoNce');
    const b = new Builder(graph);
    graph.output('loss', infoNce(b, graph.input('logits', float(n, 1 + k)), temperature));
    const { loss } = await runGraph(graph, { logits });

    let expected = 0;
    for (const row of rows(logits, 1 + k)) {
      const largest = Math.max(...row);
      let denominator = 0;
      for (const l of row) denominator += Math.exp((l - largest) / temperature);
      expected -= ((row[0]! - largest) / temperature - Math.log(denominator)) / n;
    }
    expect(loss![0]! / expected).to.be.closeTo(1, 1e-5);
  });

  it('distillation on logits equals -mean sum softmax(t / Tt) log softmax(s / Ts) Ts^2 by a loop', async () => {
    const [n, k, teacherTemperature, studentTemperature] = [3, 5, 4, 2];
    const random = new Random(3);
    const student = normal(random, n * (1 + k));
    const teacher = normal(random, n * (1 + k));
    const graph = new Graph('kd');
    const b = new Builder(graph);
    const s = graph.input('student', float(n, 1 + k));
    const t = graph.input('teacher', float(n, 1 + k));
    const options = { kind: 'kd', weight: 0.5, teacherTemperature, studentTemperature } as const;
    graph.output('loss', logitDistillation(b, s, t, options));
    const { loss } = await runGraph(graph, { student, teacher });

    const softmax = (row: number[], temperature: number) => {
      const total = row.reduce((sum, x) => sum + Math.exp(x / temperature), 0);
      return row.map((x) => Math.exp(x / temperature) / total);
    };
    let expected = 0;
    for (let i = 0; i < n; i++) {
      const target = softmax(rows(teacher, 1 + k)[i]!, teacherTemperature);
      const prediction = softmax(rows(student, 1 + k)[i]!, studentTemperature);
      for (const [j, p] of target.entries()) {
        expected -= (p * Math.log(prediction[j]!) * studentTemperature ** 2) / n;
      }
    }
    expect(loss![0]! / expected).to.be.closeTo(1, 1e-5);
  });

  it('re-weighting by the sum of the other widths: 2.5, 1, 1, 1; none: ones; one width: 1', () => {
    const widths = [1, 0.75, 0.5, 0.25];
    expect(lossWeights({ kind: 'sum-of-others' }, widths)).to.deep.equal([2.5, 1, 1, 1]);
    expect(lossWeights({ kind: 'none' }, widths)).to.deep.equal([1, 1, 1, 1]);
    expect(lossWeights({ kind: 'sum-of-others' }, [1])).to.deep.equal([1]);
  });
});
