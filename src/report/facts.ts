import { viewSize, type Config } from '../config/schema.js';
import { formatDuration } from './duration.js';
import { imagesPerSecond, type History } from './history.js';
import { escapeHtml } from './html.js';
import type { Run } from './run.js';

/** What the run is and how far it is, as a list of terms and values; empty when nothing is known. */
export function renderFacts({ config }: Run, history: History): string {
  const { start, stepCount, stop, resumed } = history;
  const speed = imagesPerSecond(history);
  const facts: [term: string, value: string | undefined][] = [
    ['Method', config && config.method.kind],
    ['Widths', config && config.widths.join(', ')],
    ['Techniques', config && techniques(config)],
    ['Encoder', config && `${config.encoder.name}, ${config.encoder.stem} stem`],
    [
      'Data',
      config &&
        `${config.data.source}${start ? `, ${start.images.toLocaleString('en')} images` : ''}${heldOut(config)}`,
    ],
    ['Input and batch', config && inputSize(config)],
    ['Optimiser', config && `${config.optimizer.kind}, ${config.schedule.kind} from ${config.schedule.peak}`],
    ['Precision', config && precision(config, history)],
    ['Progress', start && progress(start, stepCount)],
    ['Resumed', start && resumes(resumed, start.stepsPerEpoch)],
    ['State', start && state(stop)],
    ['Duration', start && formatDuration(history.seconds)],
    ['Training speed', speed === undefined ? undefined : `${speed.toPrecision(3)} images/s`],
    ['Version', start && `slimclr ${start.version}`],
  ];
  const known = facts.filter(([, value]) => value !== undefined);
  if (known.length === 0) return '';
  const items = known.map(([term, value]) => `<div><dt>${term}</dt><dd>${escapeHtml(value!)}</dd></div>`);
  return `<dl class="facts">\n${items.join('\n')}\n</dl>`;
}

function state(stop: History['stop']): string {
  if (stop === undefined) return 'running or killed';
  return stop.reason === 'early' ? 'ended early' : stop.reason;
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

/** What `data.validation` keeps from training. */
function heldOut({ data: { validation } }: Config): string {
  if (validation === 0) return '';
  const share = Number((100 * validation).toPrecision(6));
  return validation < 1 ? `, ${share} % held out` : `, ${validation.toLocaleString('en')} held out`;
}

/** After how many epochs later processes went on, the latest few; undefined when none did. */
function resumes(steps: readonly number[], stepsPerEpoch: number): string | undefined {
  if (steps.length === 0) return undefined;
  const epochs = steps.slice(-namedResumes).map((step) => Number((step / stepsPerEpoch).toFixed(1)));
  const times = steps.length > namedResumes ? `${steps.length} times, last ` : '';
  return `${times}after epoch ${epochs.join(', ')}`;
}

/** Resumes that are named. */
const namedResumes = 5;

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
