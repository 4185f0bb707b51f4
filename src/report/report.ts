import { basename, join, resolve } from 'node:path';
import { replaceFile } from '../replaceFile.js';
import { renderFacts } from './facts.js';
import { withDiagnosis, type History } from './history.js';
import { escapeHtml } from './html.js';
import { renderConfig, renderPage } from './htmlPage.js';
import type { ReportOptions } from './options.js';
import { readPictures, type Pictures } from './pictures.js';
import { readRun, type Run } from './run.js';
import { renderSection, type Section } from './section.js';
import { featuresSection } from './sections/features.js';
import { gradientsSection } from './sections/gradients.js';
import { neighboursSection, viewsSection } from './sections/images.js';
import { monitorSection } from './sections/monitor.js';
import { resultsSection } from './sections/results.js';
import { trainingSection } from './sections/training.js';

/**
 * Writes `report.html` into a run folder, one file that opens offline, and returns its path. Images of named data
 * sets are taken from the cache, never downloaded. Throws UsageError for a folder that is not a run's.
 */
export async function writeReport(runFolder: string, options: ReportOptions = {}): Promise<string> {
  const run = await readRun(runFolder);
  const file = join(runFolder, 'report.html');
  const page = await renderReport(run, await readPictures(run, options));
  await replaceFile(file, page);
  return file;
}

/** The report page of a run. */
export async function renderReport(run: Run, pictures: Pictures): Promise<string> {
  const history = withDiagnosis(run.history, run.diagnosis);
  const sections = reportSections(run, history, pictures);
  const charts = sections.flatMap(({ blocks }) =>
    blocks.flatMap((block) => (block.kind === 'charts' ? block.charts : [])),
  );
  const title = `slimclr run ${basename(resolve(run.folder))}`;
  const body = [
    renderFacts(run, history),
    renderNotes([...run.notes, ...historyNotes(history)]),
    renderContents(sections),
    ...sections.map(renderSection),
    run.config === undefined ? '' : renderConfig(run.config),
  ];
  return renderPage(title, body, charts);
}

/** What came out, what went in, how training went, and why. */
function reportSections(run: Run, history: History, pictures: Pictures): Section[] {
  return [
    resultsSection(run),
    viewsSection(pictures),
    trainingSection(history),
    monitorSection(history),
    featuresSection(history),
    gradientsSection(history),
    neighboursSection(pictures),
  ];
}

function renderContents(sections: readonly Section[]): string {
  const links = sections.map(({ id, title }) => `<a href="#${id}">${title}</a>`);
  return `<nav>${links.join(' ')}</nav>`;
}

function historyNotes({ skipped, stop }: History): string[] {
  const notes = stop?.message === undefined ? [] : [`Training stopped: ${stop.message}`];
  if (skipped.length > 0) {
    const examples = skipped.slice(0, 3).map(({ path, reason }) => `${path} (${reason})`);
    const more = skipped.length > 3 ? ` and ${skipped.length - 3} more` : '';
    notes.push(`Images that could not be read were skipped: ${examples.join(', ')}${more}.`);
  }
  return notes;
}

function renderNotes(notes: readonly string[]): string {
  if (notes.length === 0) return '';
  return `<ul class="notes">\n${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('\n')}\n</ul>`;
}
