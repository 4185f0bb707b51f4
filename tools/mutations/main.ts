/**
 * Files of a run that accidents or people changed: `npm run mutations -- [--count 300] [--seed 1] [--only 'json: report'] [--messages]` changes one at a
 * time and runs what reads it. Whatever does not work must say so in one line, and nothing outside the run folder may
 * change. Exit code 1 when something ends in a defect.
 */
import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { makeSubject } from './subject.js';
import { trials } from './trial.js';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '.' },
    messages: { type: 'boolean', default: false },
  },
});
const [count, seed] = [Number(values.count), Number(values.seed)];
if (!(Number.isInteger(count) && count > 0 && Number.isInteger(seed) && seed >= 0)) {
  console.error('accepted: --count and --seed, integers');
  process.exit(2);
}

let current = '';
const defects: string[] = [];
const report = (defect: string) => {
  defects.push(defect);
  console.log(defect);
};
// What escapes from a reader that has answered already.
process.on('unhandledRejection', (error) => report(`${current}\n    unhandled: ${String(error)}`));
process.on('uncaughtException', (error) => report(`${current}\n    uncaught: ${error.stack}`));

const subject = await makeSubject();
let [done, refused] = [0, 0];
for await (const { what, defect, message } of trials(subject, {
  count,
  seed,
  only: new RegExp(values.only),
  onTrial: (what) => (current = what),
})) {
  done += 1;
  if (message !== undefined) refused += 1;
  if (values.messages) console.log(`${what}\n    ${message ?? 'works'}`);
  if (defect !== undefined) report(`${what}\n    ${defect}`);
}
await rm(subject.root, { recursive: true });
console.log(
  `${count} mutations, ${done} readings: ${done - refused} work, ${refused} refused, ${defects.length} defects`,
);
process.exitCode = defects.length > 0 ? 1 : 0;
