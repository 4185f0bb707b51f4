import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SiteFile } from './site.js';

/** Where the compiled rooms lie: a page's modules keep their places to each other. */
const compiled = fileURLToPath(new URL('../', import.meta.url));
const imported = /\b(?:from|import)\s*\(?\s*'(\.[^']+)'|new URL\('(\.[^']+\.js)'/g;

/** Modules of the package that begin with one, with all that they import, below `code/`. */
export async function moduleFiles(entry: string): Promise<Map<string, SiteFile>> {
  const files = new Map<string, SiteFile>();
  const queue = [entry];
  for (const path of queue) {
    if (files.has(`code/${path}`)) continue;
    // Source maps are not among the files.
    const content = (await readFile(join(compiled, path), 'utf8')).replace(/\n\/\/# sourceMappingURL=.*/, '');
    files.set(`code/${path}`, { content });
    for (const [, name = '', other = ''] of content.matchAll(imported)) {
      queue.push(join(dirname(path), name || other).replaceAll('\\', '/'));
    }
  }
  return files;
}

/** ONNX Runtime as its package ships it for browsers, below `ort/`: for WebAssembly, and with WebGPU. */
export function runtimeFiles(): Map<string, SiteFile> {
  const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
  const names = ['ort.wasm.min.mjs', 'ort.webgpu.min.mjs'];
  for (const flavour of ['', '.asyncify']) {
    names.push(...['mjs', 'wasm'].map((extension) => `ort-wasm-simd-threaded${flavour}.${extension}`));
  }
  return new Map(names.map((name) => [`ort/${name}`, { source: join(folder, name) }]));
}
