import { parse } from 'csv-parse/sync';
import { extname } from 'node:path';
import { isRecord } from '../config/layers.js';
import { decodeText } from '../config/text.js';
import { oneLine, reasonOf, SlimclrError, UsageError } from '../errors.js';
import { sha256 } from '../onnx/hash.js';
import { readPlainFile } from '../plainFile.js';
import { valueText } from '../readJson.js';

/** Labels of images as a file has them. */
export interface LabelFile {
  /** Of the file. */
  readonly path: string;
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
  /** By the path of an image as `labelPath` writes it; null: named there, without a label. */
  readonly labels: ReadonlyMap<string, string | null>;
  /** The path in the first row, where it could be a header that is not known. */
  readonly firstRow: string | null;
}

/** Names of columns and keys, the preferred ones first. */
const pathNames = [
  ...['file_name', 'filename', 'path', 'file_path', 'filepath', 'file', 'image_path', 'image_name'],
  ...['image', 'img', 'image_id', 'name', 'key', 'id'],
];
const labelNames = ['label', 'class', 'class_name', 'classname', 'category', 'target', 'label_name', 'y'];

const acceptedForms =
  'CSV of two columns, path and label, or with a header that names them; JSON: {"path": "label"}, or a list or lines of ' +
  '{"file": ..., "label": ...}';

/**
 * Reads labels from CSV (`.csv`, `.tsv`, `.txt`) or JSON (`.json`, `.jsonl`, `.ndjson`), UTF-8 or UTF-16 with a byte
 * order mark. Throws a UsageError, one line, for a file that cannot be read, for another form, and for an image with two
 * labels.
 */
export async function readLabelFile(path: string): Promise<LabelFile> {
  let bytes: Uint8Array;
  try {
    bytes = await readPlainFile(path);
  } catch (cause) {
    if (cause instanceof SlimclrError) throw new UsageError(`data.labels: ${cause.message}`, { cause });
    throw new UsageError(`data.labels: ${path} cannot be read (${reasonOf(cause)})`, { cause });
  }
  const collector = new Collector(path);
  const text = textOf(bytes, collector);
  const extension = extname(path).toLowerCase();
  if (['.jsonl', '.ndjson'].includes(extension)) readLines(text, collector);
  else if (extension === '.json') readJson(text, collector);
  else if (['.csv', '.tsv', '.txt'].includes(extension)) readCsv(text, extension, collector);
  else throw new UsageError(`data.labels: ${path}; accepted: .csv, .tsv, .txt, .json, .jsonl, .ndjson`);
  return { ...collector.file(), sha256: sha256(bytes) };
}

/** Refuses another encoding, in which two labels could become one. */
function textOf(bytes: Uint8Array, collector: Collector): string {
  try {
    return decodeText(bytes, { fatal: true });
  } catch {
    const [before] = decodeText(bytes).split('\ufffd', 1);
    const line = before!.split('\n').length;
    throw collector.refusal(`line ${line} is not UTF-8; accepted: UTF-8, or UTF-16 with a byte order mark`);
  }
}

/** How the path of an image is compared with others: forward slashes, no `./` before it, Unicode composed. */
export function labelPath(path: string): string {
  return path
    .trim()
    .replaceAll('\\', '/')
    .replace(/^(\.\/+)+/, '')
    .normalize();
}

class Collector {
  readonly #labels = new Map<string, string | null>();
  #firstRow: string | null = null;
  #hasLabel = false;

  constructor(readonly path: string) {}

  /** @param couldBeHeader whether it is a first row that may be a header */
  add(path: string, label: string | null, place: string, couldBeHeader = false): void {
    const known = labelPath(path);
    if (known === '') throw this.refusal(`${place} has no path`);
    const before = this.#labels.get(known);
    if (before !== undefined && before !== label) {
      const [a, b] = [before, label].map((text) => (text === null ? 'none' : valueText(text)));
      throw this.refusal(`${valueText(known)} has two labels, ${a} and, in ${place}, ${b}; accepted: one`);
    }
    this.#labels.set(known, label);
    this.#hasLabel ||= label !== null;
    if (couldBeHeader) this.#firstRow = known;
  }

  refusal(problem: string): UsageError {
    return new UsageError(`data.labels: ${this.path}: ${problem}`);
  }

  file(): Omit<LabelFile, 'sha256'> {
    if (!this.#hasLabel) throw this.refusal(`no label in it; accepted: ${acceptedForms}`);
    return { path: this.path, labels: this.#labels, firstRow: this.#firstRow };
  }
}

function readCsv(text: string, extension: string, collector: Collector): void {
  let columns: Columns | undefined;
  const onRecord = (record: string[], line: number) => {
    if (!columns) {
      columns = columnsOf(record, collector);
      if (columns.isHeader) return;
      collector.add(record[columns.path]!, record[columns.label] || null, `line ${line}`, true);
      return;
    }
    if (record.length !== columns.count) {
      throw collector.refusal(
        `line ${line} has ${record.length} columns; accepted: ${columns.count}, as the first has`,
      );
    }
    collector.add(record[columns.path]!, record[columns.label] || null, `line ${line}`);
  };
  try {
    parse(text, {
      delimiter: delimiterOf(text, extension),
      trim: true,
      relax_column_count: true,
      skip_empty_lines: true,
      // No row is kept: there may be millions.
      on_record: (record: string[], { lines }) => {
        onRecord(record, lines);
        return null;
      },
    });
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw collector.refusal(`${oneLine(error as Error)}; accepted: ${acceptedForms}`);
  }
}

interface Columns {
  /** Of a row. */
  readonly count: number;
  readonly path: number;
  readonly label: number;
  /** Whether the first row names them. */
  readonly isHeader: boolean;
}

function columnsOf(first: readonly string[], collector: Collector): Columns {
  const count = first.length;
  const header = headerOf(first);
  if (header) return { count, ...header, isHeader: true };
  if (count === 2) return { count, path: 0, label: 1, isHeader: false };
  const columns = first.map((name) => valueText(name)).join(', ');
  throw collector.refusal(
    `${count === 1 ? 'one column' : `${count} columns`}, ${columns}; accepted: two, or a header that names path ` +
      `(${pathNames.join(', ')}) and label (${labelNames.join(', ')})`,
  );
}

/** Tabs where there are any; semicolons where there are no commas. */
function delimiterOf(text: string, extension: string): string {
  const line = /^[^\r\n]*/.exec(text.trimStart())![0];
  if (extension === '.tsv' || line.includes('\t')) return '\t';
  return line.includes(';') && !line.includes(',') ? ';' : ',';
}

/** The columns that a header names; null for a row that is none. */
function headerOf(fields: readonly string[]): { path: number; label: number } | null {
  const names = fields.map(columnName);
  const find = (known: readonly string[]) => names.indexOf(known.find((name) => names.includes(name)) ?? '');
  const [path, label] = [find(pathNames), find(labelNames)];
  if (path >= 0 && label >= 0) return { path, label };
  if (fields.length !== 2) return null;
  // Of two columns the other one is the other.
  if (path >= 0) return { path, label: 1 - path };
  return label >= 0 ? { path: 1 - label, label } : null;
}

function columnName(field: string): string {
  return field
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, '_');
}

function readJson(text: string, collector: Collector): void {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    // Lines of JSON under the name of one.
    if (/^\s*\{[^\n]*\}\s*\n\s*\{/.test(text)) return readLines(text, collector);
    throw collector.refusal(`not JSON (${oneLine(error as Error)})`);
  }
  if (Array.isArray(json)) {
    for (const [i, item] of json.entries()) addRecord(item, `item ${i}`, collector);
  } else if (isRecord(json)) {
    for (const [path, label] of Object.entries(json)) {
      collector.add(path, labelOf(label, path, collector), valueText(path));
    }
  } else {
    throw collector.refusal(`it is ${valueText(json)}; accepted: ${acceptedForms}`);
  }
}

function readLines(text: string, collector: Collector): void {
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch (error) {
      throw collector.refusal(`line ${i + 1} is not JSON (${oneLine(error as Error)})`);
    }
    addRecord(json, `line ${i + 1}`, collector);
  }
}

/** An object that names a file and its label. */
function addRecord(json: unknown, place: string, collector: Collector): void {
  const record = isRecord(json)
    ? new Map(Object.entries(json).map(([key, v]) => [columnName(key), v]))
    : null;
  const path = record?.get(pathNames.find((name) => record.has(name)) ?? '');
  if (!record || (typeof path !== 'string' && typeof path !== 'number')) {
    throw collector.refusal(
      `${place} is ${valueText(json)}; accepted: {"file": "a.jpg", "label": "cat"}, the file as ${pathNames.join(', ')}`,
    );
  }
  const label = record.get(labelNames.find((name) => record.has(name)) ?? '');
  collector.add(String(path), labelOf(label, place, collector), place);
}

function labelOf(value: unknown, place: string, collector: Collector): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
    throw collector.refusal(
      `the label of ${valueText(place)} is ${valueText(value)}; accepted: a string, a number or null`,
    );
  }
  return String(value).trim() || null;
}
