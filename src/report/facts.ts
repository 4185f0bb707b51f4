import { viewSize, type Config } from '../config/schema.js';
import { formatDuration } from './duration.js';
import { imagesPerSecond, type History } from './history.js';
import { escapeHtml } from './html.js';
import type { Run } from './run.js';

/** What the run is and how far it is, as a list of terms and values; empty when nothing is known. */
export function renderFacts({ config }: Run, history: History): string {
  const { start, stepCount, stop } = history;
  const speed = imagesPerSecond(history);
  const facts: [term: string, value: string | undefined][] = [
    ['Method', config && config.method.kind],
    ['Widths', config && config.widths.join(', ')],
    ['Techniques', config && techniques(config)],
    ['Encoder', config && `${config.encoder.name}, ${config.encoder.stem} stem`],
    [
      'Data',
      config && `${config.data.source}${start ? `, ${start.images.toLocaleString('en')} images` : ''}`,
    ],
    ['Input and batch', config && inputSize(config)],
    ['Optimiser', config && `${config.optimizer.kind}, ${config.schedule.kind} from ${config.schedule.peak}`],
    ['Precision', config && precision(config, history)],
    ['Progress', start && progress(start, stepCount)],
    ['State', start && (stop === undefined ? 'running or killed' : stop.reason)],
    ['Duration', start && formatDuration(history.seconds)],
    ['Training speed', speed === undefined ? undefined : `${speed.toPrecision(3)} images/s`],
    ['Version', start && `slimclr ${start.version}`],
  ];
  const known = facts.filter(([, value]) => value !== undefined);
  if (known.length === 0) return '';
  const items = known.map(([term, value]) => `<div><dt>${term}</dt><dd>${escapeHtml(value!)}</dd></div>`);
  return `<dl class="facts">\n${items.join('\n')}\n</dl>`;
}

/** Undefined for a single width, to which none applies. */
function techniques({ widths, techniques }: Config): string | undefined {
  const { slowStart, distillation, reweighting } = techniques;
  if (widths.length === 1) return undefined;
  const parts = [
    slowStart.kind === 'none' ? 'no slow start' : `slow start of ${slowStart.epochs} epochs`,
    distillation.kind === 'none' ? 'no distillation' : `distillation ${distillation.kind}`,
    reweighting.kind === 'none' ? 'no re-weighting' : `re-weighting ${reweighting.kind}`,
  ];
  return parts.join(', ');
}

function progress({ config, stepsPerEpoch }: NonNullable<History['start']>, steps: number): string {
  const epochs = Number((steps / stepsPerEpoch).toFixed(1));
  return `${epochs} of ${config.epochs} epochs, ${steps.toLocaleString('en')} steps`;
}

/** Undefined for float32, the usual one. */
function precision({ runtime }: Config, { steps, overflowCount }: History): string | undefined {
  if (runtime.precision === 'float32') return undefined;
  const scale = steps.at(-1)?.lossScale;
  return [
    runtime.precision,
    ...(scale === undefined ? [] : [`loss scale ${scale.toLocaleString('en')}`]),
    `${overflowCount.toLocaleString('en')} steps skipped for an overflow`,
  ].join(', ');
}

function inputSize(config: Config): string {
  const [input, view] = [config.data.imageSize, viewSize(config)];
  const views = view === input ? '' : `, views of ${view} x ${view}`;
  const { batchSize, accumulation } = config;
  const batch = accumulation === 1 ? String(batchSize) : `${batchSize} x ${accumulation}`;
  return `${input} x ${input} pixels${views}, ${batch} images`;
}
