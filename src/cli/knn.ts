import { Command, Option } from 'commander';
import { defaultKnnSettings } from '../evaluation/knnSettings.js';
import { accuracyTable, addEvaluationOptions, testImagesText, type EvaluationFlags } from './evaluation.js';
import { integer, libraryOptions, number } from './options.js';
import { StatusLine } from './statusLine.js';

type Flags = EvaluationFlags & { readonly k: number; readonly temperature: number };

export function knnCommand(): Command {
  const command = new Command('knn')
    .description('k-nearest-neighbour accuracy of a run at every width; into results/knn.json')
    .argument('<run>', 'folder of a run')
    .addOption(
      new Option('--k <count>', 'neighbours that vote, an integer >= 1')
        .argParser(integer(1))
        .default(defaultKnnSettings.k),
    )
    .addOption(
      new Option('--temperature <value>', 'of the weight of a vote, > 0')
        .argParser(number)
        .default(defaultKnnSettings.temperature),
    );
  return addEvaluationOptions(command).action(async (run: string, flags: Flags) => {
    const { evaluateKnn } = await import('../evaluation/evaluateKnn.js');
    const status = new StatusLine();
    const onProgress = (message: string) => status.show(message);
    const onNotice = (line: string) => status.print(line);
    const result = await evaluateKnn(run, { ...libraryOptions(flags), onProgress, onNotice });
    status.clear();
    const { k, temperature, trainImages, source } = result;
    console.log(
      `kNN, k ${k}, temperature ${temperature}: ${testImagesText(result)} against ${trainImages} of ${source}`,
    );
    process.stdout.write(accuracyTable(result.widths));
  });
}
