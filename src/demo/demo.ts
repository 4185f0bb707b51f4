import { buildDemo, type DemoOptions } from './buildDemo.js';
import { serveSite, type SiteServer } from './serve.js';
import { writeSite } from './site.js';

export type { DemoOptions } from './buildDemo.js';
export type { SiteServer } from './serve.js';

/** Serves the page that shows a run (`buildDemo`) to this machine; port 0, the default, is any free one. */
export async function serveDemo(
  runFolder: string,
  { port = 0, ...options }: DemoOptions & { readonly port?: number } = {},
): Promise<SiteServer> {
  return serveSite(await buildDemo(runFolder, options), port);
}

/** Writes the page that shows a run (`buildDemo`) into a folder, which any server of static files serves. */
export async function exportDemo(
  runFolder: string,
  output: string,
  options: DemoOptions = {},
): Promise<void> {
  const site = await buildDemo(runFolder, options);
  options.onProgress?.(`writing ${output}`);
  await writeSite(site, output, options.signal);
}
