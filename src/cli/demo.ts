import { once } from 'node:events';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { DemoOptions } from '../demo/demo.js';
import { printable } from '../printable.js';
import { cacheOption, integer, libraryOptions, type CacheOption } from './options.js';
import { abortOnSignals } from './signals.js';
import { StatusLine } from './statusLine.js';

interface Flags extends CacheOption {
  readonly port: number;
  readonly output?: string;
  readonly images: number;
  readonly source?: string;
}

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'serve a page that shows a run: nearest neighbours of your pictures, at every width, in the browser',
    )
    .argument('<run>', 'folder of a run')
    .addOption(
      new Option('--port <port>', 'of this machine; 0: any free one').argParser(portNumber).default(0),
    )
    .option(
      '--output <folder>',
      'write the page as static files instead of serving it (default: it is served)',
    )
    .addOption(
      new Option('--images <count>', 'neighbours are found among this many images at most')
        .argParser(integer(1))
        .default(1000),
    )
    .option('--source <source>', 'these images, a data set or a folder (default: those of the run)')
    .addOption(cacheOption())
    .action(async (run: string, { port, output, ...flags }: Flags) => {
      const { exportDemo, serveDemo } = await import('../demo/demo.js');
      const status = new StatusLine();
      const interruption = abortOnSignals(() => status.clear());
      const { signal } = interruption;
      const options: DemoOptions = {
        ...libraryOptions(flags),
        onProgress: (message) => status.show(message),
        onNotice: (line) => status.print(line),
        signal,
      };
      try {
        if (output !== undefined) {
          await exportDemo(run, output, options);
          status.clear();
          console.log(`${printable(output)}: index.html and its files, for any server of static files`);
          return;
        }
        const server = await serveDemo(run, { ...options, port });
        status.clear();
        console.log(`${server.url} shows ${printable(run)}; Ctrl-C ends it`);
        if (!signal.aborted) await once(signal, 'abort');
        await server.close();
      } catch (error) {
        if (!signal.aborted) throw error;
        interruption.end();
      } finally {
        status.clear();
        interruption.stop();
      }
    });
}

function portNumber(text: string): number {
  const port = integer(0)(text);
  if (port < 65_536) return port;
  throw new InvalidArgumentError('Accepted: an integer from 0 to 65535.');
}
