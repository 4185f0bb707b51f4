import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.js';
import { codeBlocks } from './markdown.js';
import { repository } from './tarball.js';
import { removeFolder } from '../support/removeFolder.js';

const readme = readFileSync(join(repository, 'README.md'), 'utf8');
/** The words of each `npx slimclr` line of its shell blocks, comments left out. */
const shell = codeBlocks(readme, 'sh')
  .flatMap((block) => block.replaceAll('\\\n', '').split('\n'))
  .filter((line) => line.startsWith('npx slimclr '))
  .map((line) => line.replace(/ #.*/, '').trim().split(/ +/).slice(2));
/** The same of its table of commands, whose cells may hold options of their own. */
const table = [...readme.matchAll(/^\| `slimclr ([^`]+)`\s*\|(.*)\|$/gm)].map(([, command, text]) =>
  `${command!} ${[...text!.matchAll(/`(--[^`]+)`/g)].map(([, option]) => option!.replaceAll('\\|', ' ')).join(' ')}`
    .trim()
    .split(/ +/),
);

describe('commands of README', function () {
  this.timeout(60_000);
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'slimclr-readme-'))));
  afterEach(() => removeFolder(folder));

  const run = (args: readonly string[]) =>
    spawnSync(process.execPath, [join(repository, 'bin/slimclr.js'), ...args], {
      cwd: folder,
      encoding: 'utf8',
    });

  it('are found', () => {
    expect(shell).to.have.length.of.at.least(6);
    expect(table).to.have.length.of.at.least(14);
  });

  const trainings = shell.filter((words) => words[0] === 'pretrain' && !words.includes('--resume'));
  for (const words of trainings) {
    it(`slimclr ${words.join(' ')}: a config that is accepted, and nothing is written`, () => {
      const { status, stderr } = run([...words.map((word) => word.replace('$HOME', folder)), '--dry-run']);
      expect(stderr).to.equal('');
      expect(status).to.equal(0);
      expect(readdirSync(folder)).to.deep.equal([]);
    });
  }

  // Each command once, with all the options that README names for it.
  const options = new Map<string, Set<string>>();
  for (const words of [...shell, ...table]) {
    const name =
      words[0] === 'data' || words[0] === 'config' || words[0] === 'graph'
        ? words.slice(0, 2)
        : words.slice(0, 1);
    const named = options.get(name.join(' ')) ?? new Set();
    for (const word of words) if (word.startsWith('--')) named.add(word);
    options.set(name.join(' '), named);
  }
  it('exist, with the options that it names', () => {
    const missing = [...options].flatMap(([name, named]) => {
      let command: Command | undefined = createProgram();
      for (const word of name.split(' ')) command = command?.commands.find((other) => other.name() === word);
      const known = new Set(command?.helpInformation().match(/--[a-z-]+/g));
      return command
        ? [...named].filter((option) => !known.has(option)).map((option) => `${name} ${option}`)
        : [name];
    });
    expect(missing).to.deep.equal([]);
  });
});
