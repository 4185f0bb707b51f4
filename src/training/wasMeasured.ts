import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Whether the log of a run holds what its monitor found after a step. The log is read line by line. */
export async function wasMeasured(runFolder: string, step: number): Promise<boolean> {
  const path = join(runFolder, 'events.jsonl');
  if (!existsSync(path)) return false;
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity });
  try {
    for await (const line of lines) {
      if (line.includes('"type":"knn"') && stepOf(line) === step) return true;
    }
    return false;
  } finally {
    lines.close();
  }
}

/** Null for a line that is torn. */
function stepOf(line: string): unknown {
  try {
    const event = JSON.parse(line) as { readonly step?: unknown } | null;
    return event?.step ?? null;
  } catch {
    return null;
  }
}
