import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { encodeModel } from '../../src/onnx/model.js';
import { updateGoldenModels } from '../../src/check/update.js';
import { smallModel } from '../check/smallModel.js';
import { removeFolder } from '../support/removeFolder.js';

interface Step {
  readonly name: string;
  readonly id?: string;
  readonly if?: string;
  readonly shell: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly run: string;
}
interface Action {
  readonly inputs: Readonly<Record<string, { readonly required?: boolean; readonly default?: string }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly Step[] };
}

/** The comments of a repository, behind the three calls of GitHub's API that the action makes. */
class Comments {
  readonly bodies: string[] = [];
  readonly calls: string[] = [];
  status = 200;
  readonly #server: Server = createServer((request, response) => {
    void this.#answer(request).then((content) => {
      response.writeHead(this.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(this.status === 200 ? content : { message: 'no' }));
    });
  });

  async open(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
  }

  async #answer(request: IncomingMessage): Promise<unknown> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = request.url!.replace(/\?.*$/, '');
    this.calls.push(`${request.method} ${path} ${request.headers.authorization}`);
    if (this.status !== 200) return {};
    if (request.method === 'GET') return this.bodies.map((body, id) => ({ id, body }));
    const { body } = JSON.parse(Buffer.concat(chunks).toString()) as { body: string };
    if (request.method === 'POST') this.bodies.push(body);
    else this.bodies[Number(path.split('/').at(-1))] = body;
    return {};
  }
}

describe('action.yml: its steps, run by the shell that GitHub runs them with', function () {
  this.timeout(60_000);
  let action: Action;
  let parent: string;
  const comments = new Comments();
  let api: string;
  const path = (...names: string[]) => join(parent, ...names);

  before(async function () {
    // The shell of the steps; elsewhere there is none to run them with.
    if (process.platform === 'win32') return this.skip();
    action = parse(await readFile('action.yml', 'utf8')) as Action;
    api = await comments.open();
    parent = await mkdtemp(join(tmpdir(), 'slimclr-action-'));
    await mkdir(path('models'));
    await writeFile(path('models/small.onnx'), encodeModel(smallModel()));
    await updateGoldenModels(path('models'), path('golden'));
    await writeFile(path('event.json'), JSON.stringify({ pull_request: { number: 7 } }));
  });
  after(async () => {
    comments.close();
    if (parent) await removeFolder(parent);
  });

  interface Run {
    readonly code: number;
    readonly output: string;
    readonly summary: string;
    readonly outputs: Readonly<Record<string, string>>;
    readonly steps: readonly string[];
  }

  /** Runs the steps as a runner does: expressions filled in, files for outputs and summary, until one fails. */
  async function run(given: Readonly<Record<string, string>>, event = 'pull_request'): Promise<Run> {
    const work = await mkdtemp(path('work-'));
    const inputs = Object.fromEntries(
      Object.entries(action.inputs).map(([name, input]) => [name, given[name] ?? input.default ?? '']),
    );
    const results = new Map<string, Record<string, string>>();
    const value = (expression: string): string => {
      const known =
        /^inputs\.([\w-]+)$/.exec(expression)?.[1] ??
        /^steps\.(\w+)\.outputs\.(\w+)$/.exec(expression)?.slice(1);
      if (typeof known === 'string') return inputs[known]!.replace('${{ github.token }}', 'secret');
      expect(known, expression).to.be.an('array');
      return results.get(known![0]!)?.[known![1]!] ?? '';
    };
    const filled = (text: string) =>
      text.replaceAll(/\$\{\{ ([^}]*) \}\}/g, (_, inner: string) => value(inner));
    let [code, output] = [0, ''];
    const steps: string[] = [];
    await writeFile(join(work, 'summary'), '');
    for (const step of action.runs.steps) {
      if (step.if !== undefined) {
        expect(step.if).to.equal(
          "${{ inputs.comment == 'true' && startsWith(github.event_name, 'pull_request') }}",
        );
        if (inputs['comment'] !== 'true' || !event.startsWith('pull_request')) continue;
      }
      expect(step.shell).to.equal('bash');
      steps.push(step.name);
      await writeFile(join(work, 'output'), '');
      await writeFile(join(work, 'step.sh'), filled(step.run));
      const own = Object.entries(step.env ?? {}).map(([name, text]): [string, string] => [
        name,
        filled(text),
      ]);
      const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', join(work, 'step.sh')], {
        cwd: parent,
        env: {
          PATH: process.env['PATH'],
          HOME: parent,
          RUNNER_TEMP: work,
          GITHUB_ACTION_PATH: resolve('.'),
          GITHUB_OUTPUT: join(work, 'output'),
          GITHUB_STEP_SUMMARY: join(work, 'summary'),
          GITHUB_EVENT_PATH: path('event.json'),
          GITHUB_REPOSITORY: 'owner/name',
          GITHUB_API_URL: api,
          ...Object.fromEntries(own),
        },
      });
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (text: Buffer) => (output += text.toString()));
      code = await new Promise<number>((done) => child.on('close', (status) => done(status ?? -1)));
      const lines = (await readFile(join(work, 'output'), 'utf8')).split('\n').filter((line) => line !== '');
      if (step.id !== undefined) {
        const pairs = lines.map((line): [string, string] => [
          line.replace(/=.*/, ''),
          line.replace(/^[^=]*=/, ''),
        ]);
        results.set(step.id, Object.fromEntries(pairs));
      }
      if (code !== 0) break;
    }
    const outputs = Object.fromEntries(
      Object.entries(action.outputs).map(([name, { value: text }]) => [name, filled(text)]),
    );
    return { code, output, summary: await readFile(join(work, 'summary'), 'utf8'), outputs, steps };
  }

  it('no text of a command has an expression in it: inputs are environment variables', () => {
    expect(action.runs.using).to.equal('composite');
    for (const { run: text, name } of action.runs.steps) expect(text, name).not.to.include('${{');
    const used = JSON.stringify(action.runs.steps);
    for (const name of Object.keys(action.inputs)) expect(used).to.include(`inputs.${name}`);
  });

  it('the same models: passes, with a summary and a comment; changed ones: fails, and the comment is written anew', async () => {
    const given = { models: path('models'), against: path('golden') };
    const same = await run(given);
    expect(same.code, same.output).to.equal(0);
    expect(same.steps).to.have.length(4);
    expect(same.outputs).to.include({ passed: 'true' });
    expect(same.summary).to.match(/^### ✅ /);
    expect(await readFile(same.outputs['markdown']!, 'utf8')).to.equal(same.summary);
    expect(await readFile(same.outputs['junit']!, 'utf8')).to.include('failures="0"');
    expect(comments.bodies).to.have.length(1);
    expect(comments.bodies[0]).to.match(/^<!-- slimclr check [0-9a-f]{16} -->\n### ✅ /);
    expect(comments.calls).to.deep.equal([
      'GET /repos/owner/name/issues/7/comments Bearer secret',
      'POST /repos/owner/name/issues/7/comments Bearer secret',
    ]);

    await writeFile(path('models/small.onnx'), encodeModel(smallModel({ shift: 0.1 })));
    const changed = await run({ ...given, arguments: '--no-latency\n\n--lines=1\n' });
    expect(changed.code, changed.output).to.equal(1);
    expect(changed.outputs).to.include({ passed: 'false' });
    expect(changed.output)
      .to.match(/numerics features .* failed$/m)
      .and.not.include('budget latency');
    expect(changed.summary).to.match(/^### ❌ /);
    expect(comments.bodies).to.have.length(1);
    expect(comments.bodies[0]).to.include('### ❌ ');

    const tolerant = await run(
      { ...given, tolerance: '10', 'latency-ratio': '1000', 'github-token': 'mine' },
      'push',
    );
    expect(tolerant.code, tolerant.output).to.equal(0);
    expect(tolerant.steps).not.to.include('Comment on the pull request');
  });

  it('a token that may not write: a warning, and the verdict of the check', async () => {
    comments.status = 403;
    try {
      const { code, output } = await run({ models: path('golden/models'), against: path('golden') });
      expect(code, output).to.equal(0);
      expect(output).to.include(
        '::warning::slimclr check: no comment on the pull request (GET repos/owner/name',
      );
    } finally {
      comments.status = 200;
    }
  });

  it('wrong usage: its exit code, no comment', async () => {
    const { code, output, steps } = await run({ models: path('models'), against: path('nowhere') });
    expect({ code, steps: steps.length }).to.deep.equal({ code: 2, steps: 2 });
    expect(output).to.match(/^slimclr: .*nowhere: does not exist; accepted: [^\n]*$/m);
  });

  it('inputs that look like commands or options stay what they are', async () => {
    const evil = '$(touch injected); `touch injected`; "; touch injected; #';
    for (const given of [
      { models: evil, against: path('golden') },
      { models: '--help', against: path('golden') },
      { models: path('models'), against: evil },
      { models: path('models'), against: path('golden'), images: evil, arguments: evil },
    ]) {
      const { code, output } = await run(given);
      expect(code, output).to.equal(2);
      expect(output).to.match(/^slimclr: [^\n]*$/m);
    }
    expect(await readFile(path('injected')).catch(() => 'absent')).to.equal('absent');
  });
});
