import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { env } from 'node:process';

/*
 * The step of action.yml that puts the result of `slimclr check` on the pull request: one comment for each pair of models
 * and golden ones, written anew by later runs. A token that may not write, as that of a pull request from a fork, is a
 * warning: the result is in the summary of the job as well.
 */

const perPage = 100;
const mostPages = 30;

/** What is read of a comment. */
interface Comment {
  readonly id: number;
  readonly body?: string;
}

async function main(): Promise<void> {
  const event = JSON.parse(await readFile(required('GITHUB_EVENT_PATH'), 'utf8')) as {
    readonly pull_request?: { readonly number?: unknown };
  };
  const number = event.pull_request?.number;
  if (typeof number !== 'number') throw new Error('the event has no pull request');
  const issues = `repos/${required('GITHUB_REPOSITORY')}/issues`;
  const pair = `${required('MODELS')}\0${required('AGAINST')}`;
  const marker = `<!-- slimclr check ${createHash('sha256').update(pair).digest('hex').slice(0, 16)} -->`;
  const body = `${marker}\n${await readFile(required('MARKDOWN'), 'utf8')}`;
  const earlier = await find(`${issues}/${number}/comments`, marker);
  if (earlier) await call('PATCH', `${issues}/comments/${earlier.id}`, { body });
  else await call('POST', `${issues}/${number}/comments`, { body });
}

async function find(comments: string, marker: string): Promise<Comment | undefined> {
  for (let page = 1; page <= mostPages; page++) {
    const found = (await call('GET', `${comments}?per_page=${perPage}&page=${page}`)) as Comment[];
    const own = found.find(({ body }) => body?.startsWith(marker));
    if (own || found.length < perPage) return own;
  }
  return undefined;
}

async function call(method: string, path: string, content?: object): Promise<unknown> {
  const response = await fetch(`${env['GITHUB_API_URL'] ?? 'https://api.github.com'}/${path}`, {
    method,
    headers: {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${required('GITHUB_TOKEN')}`,
      'user-agent': 'slimclr',
    },
    ...(content && { body: JSON.stringify(content) }),
  });
  if (!response.ok)
    throw new Error(`${method} ${path.split('?')[0]}: ${response.status} ${response.statusText}`);
  return response.json();
}

function required(name: string): string {
  const value = env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

try {
  await main();
} catch (error) {
  const reason = (error as Error).message.replaceAll('%', '%25').replaceAll(/[\r\n]+/g, ' ');
  console.log(`::warning::slimclr check: no comment on the pull request (${reason})`);
}
