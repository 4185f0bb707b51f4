import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { finishedRuns } from '../../src/ablation/files.js';
import { summarize } from '../../src/ablation/statistics.js';
import { diagnose } from '../../src/evaluation/diagnose.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { exportRun } from '../../src/export/exportRun.js';
import { diffPrograms } from '../../src/golden/diffPrograms.js';
import { checkGolden } from '../../src/golden/golden.js';
import { summarizeModel, summarizePrograms } from '../../src/golden/summary.js';
import { buildPrograms } from '../../src/methods/index.js';
import { decodeModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { modelText } from '../../src/onnx/text.js';
import { readPlainFile } from '../../src/plainFile.js';
import { writeReport } from '../../src/report/report.js';
import { readRun } from '../../src/report/run.js';
import { summaryTable } from '../../src/report/table.js';
import { pretrain } from '../../src/training/pretrain.js';
import { resumedConfig } from '../../src/training/resumedConfig.js';
import { readTargetRecord, targetOf } from '../../src/tuning/targetRecord.js';
import type { Subject } from './subject.js';

/** What a command does with a run folder, by the files that it reads. */
interface Reader {
  readonly name: string;
  readonly reads: RegExp;
  /** Whether it takes seconds. */
  readonly slow?: boolean;
  readonly read: (run: string, subject: Subject, file: string) => Promise<unknown>;
}

export const readers: readonly Reader[] = [
  {
    name: 'report',
    reads: /^(events\.jsonl|config\.json|results\/.*\.json)$/,
    async read(run, { root }) {
      await writeReport(run, { cacheDirectory: join(root, 'cache') });
      return summaryTable(await readRun(run));
    },
  },
  {
    name: 'knn',
    reads: /^(checkpoints|features)\//,
    read: (run, { root, test }) =>
      evaluateKnn(run, { testSource: test, cacheDirectory: join(root, 'cache'), k: 3 }),
  },
  {
    name: 'diagnose',
    reads: /^checkpoints\//,
    slow: true,
    read: (run, { root }) => diagnose(run, { batches: 1, cacheDirectory: join(root, 'cache') }),
  },
  {
    name: 'export',
    reads: /^(checkpoints\/|results\/(export\.json|probe\.safetensors))/,
    slow: true,
    read: (run, { root }) =>
      exportRun(run, { widths: [0.5], classifier: true, cacheDirectory: join(root, 'cache') }),
  },
  {
    name: 'pretrain --resume',
    reads: /^(events\.jsonl|config\.json|tuning\.json|checkpoints\/.*)$/,
    slow: true,
    async read(run, { root }) {
      const config = await resumedConfig(run);
      await pretrain({ config, runFolder: run, resume: true, cacheDirectory: join(root, 'cache') });
    },
  },
  {
    name: 'graph build --tuning',
    reads: /^tuning\.json$/,
    async read(run, { config }) {
      const record = await readTargetRecord(join(run, 'tuning.json'));
      await buildPrograms(config, join(run, 'built'), targetOf(record!));
    },
  },
  {
    name: 'graph info',
    reads: /^(programs\/(manifest\.json|.*\.onnx)|export\/.*\.onnx)$/,
    async read(run, _, file) {
      await summarizePrograms(join(run, 'programs'));
      if (!file.endsWith('.onnx')) return;
      const model = decodeModel(await readPlainFile(join(run, file)), file);
      summarizeModel(model);
      modelText(model);
    },
  },
  {
    name: 'graph diff',
    reads: /^programs\/(manifest\.json|.*\.onnx)$/,
    read: (run, subject) => diffPrograms(join(run, 'programs'), join(subject.run, 'programs')),
  },
  {
    name: 'graph check',
    reads: /^golden\/index\.json$/,
    slow: true,
    read: (run, { config }) => checkGolden(join(run, 'golden'), new Map([['tiny', config]])),
  },
  {
    name: 'ablate',
    reads: /^ablation\/ablation\.json$/,
    async read(run, { config }) {
      const table = { all: [], naive: ['techniques.slowStart.kind=none'] };
      const runs = await finishedRuns(join(run, 'ablation'), { config, table, evaluation: {}, labels: null });
      summarize(Object.keys(table), runs);
    },
  },
  {
    name: 'weights',
    reads: /^programs\/weights\.safetensors$/,
    read: (run, _, file) => readSafetensors(join(run, file)),
  },
];

/** Files of the run that a reader reads, relative to it, sorted. */
export async function readFiles(run: string): Promise<string[]> {
  const files: string[] = [];
  for (const name of await readdir(run, { recursive: true })) {
    const file = name.replaceAll('\\', '/');
    if ((await stat(join(run, name))).isFile() && readers.some(({ reads }) => reads.test(file)))
      files.push(file);
  }
  return files.sort();
}
