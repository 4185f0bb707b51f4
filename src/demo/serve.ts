import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { reasonOf, SlimclrError } from '../errors.js';
import { contentOf, type Site } from './site.js';

export interface SiteServer {
  /** Address of the page. */
  readonly url: string;
  close(): Promise<void>;
}

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
};

/** What lets a page have shared memory, which threads of WebAssembly need, and keeps other sites from reading it. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  // What is served may be another run's at the next start.
  'Cache-Control': 'no-cache',
};

/**
 * Serves a site to this machine only. Nothing but the site's own files can be had, whatever the path. Port 0 is any free
 * one. Throws a SlimclrError for a port that is taken.
 */
export async function serveSite(site: Site, port: number): Promise<SiteServer> {
  const server = createServer((request, response) => void answer(site, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new SlimclrError(
          `port ${port} cannot be used (${reasonOf(cause)}); accepted: another, 0 for a free one`,
          {
            cause,
          },
        ),
      );
    });
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  site: Site,
  { method, url, headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refuse = (status: number, text: string) =>
    response
      .writeHead(status, { ...isolation, 'Content-Type': 'text/plain; charset=utf-8' })
      .end(`${text}\n`);
  if (!isLocal(headers.host)) return void refuse(403, 'served to this machine only');
  if (method !== 'GET' && method !== 'HEAD') return void refuse(405, 'GET and HEAD only');
  const path = pathOf(url ?? '/');
  const file = path === null ? undefined : site.get(path);
  if (!file) return void refuse(404, 'not found');
  try {
    const content = Buffer.from(await contentOf(file));
    response.writeHead(200, {
      ...isolation,
      'Content-Type': contentTypes[extname(path!)] ?? 'application/octet-stream',
      'Content-Length': content.length,
    });
    response.end(method === 'HEAD' ? undefined : content);
  } catch (error) {
    refuse(500, reasonOf(error));
  }
}

/** The path of a file in the site; null for an address that is none. */
function pathOf(url: string): string | null {
  try {
    const path = decodeURIComponent(url.split('?', 1)[0]!).slice(1);
    return path === '' ? 'index.html' : path;
  } catch {
    return null;
  }
}

/** Whether the page was asked for by a name of this machine: another site's name may be made to lead here. */
function isLocal(host = ''): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host);
}
