import { expect } from 'chai';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.js';
import { version } from '../../src/version.js';
import { slimclr } from './slimclr.js';

/** The command and all below it, with their full names. */
function commandsOf(command: Command, parents = ''): [name: string, command: Command][] {
  const name = `${parents}${command.name()}`;
  return [[name, command], ...command.commands.flatMap((child) => commandsOf(child, `${name} `))];
}

describe('command line help', () => {
  for (const [name, command] of commandsOf(createProgram())) {
    it(`${name}: describes itself, its arguments, and every option with what holds without it`, () => {
      expect(command.description()).to.match(/\S/);
      for (const argument of command.registeredArguments) {
        expect(argument.description, argument.name()).to.match(/\S/);
      }
      const help = command.helpInformation();
      for (const option of command.options) {
        expect(option.description, option.long).to.match(/\S/);
        expect(help).to.contain(option.flags);
        if (option.defaultValue !== undefined || option.mandatory || option.isBoolean()) continue;
        expect(option.description, option.long).to.match(/default|required|instead of/);
      }
    });
  }

  it('the executable: --help and --version on stdout, exit code 0', async () => {
    const [help, printed] = await Promise.all([slimclr('--help'), slimclr('--version')]);
    expect(help).to.include({ code: 0, stderr: '' });
    expect(help.stdout).to.match(/^Usage: slimclr /);
    expect(printed).to.include({ code: 0, stderr: '', stdout: `${version}\n` });
  });
});
