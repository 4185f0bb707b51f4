import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect } from 'chai';
import { anchors, relativeLinks } from './markdown.js';
import { installTarball, type Project } from './tarball.js';

describe('documents of the tarball', function () {
  this.timeout(120_000);
  let project: Project;

  before(() => {
    project = installTarball();
  });
  after(() => project.remove());

  it('README links only to what the tarball holds, and so does every document that it leads to', () => {
    const broken: string[] = [];
    const [seen, queue] = [new Set<string>(), [join(project.installed, 'README.md')]];
    for (const file of queue) {
      if (seen.has(file)) continue;
      seen.add(file);
      for (const link of relativeLinks(readFileSync(file, 'utf8'))) {
        const [path, anchor] = link.split('#') as [string, string?];
        const target = path === '' ? file : join(dirname(file), path);
        const isThere = existsSync(target);
        const isMarkdown = isThere && target.endsWith('.md');
        if (!isThere || (anchor !== undefined && !anchors(readFileSync(target, 'utf8')).includes(anchor))) {
          broken.push(`${relative(project.installed, file)}: ${link}`);
        }
        if (isMarkdown) queue.push(target);
      }
    }
    expect(broken).to.deep.equal([]);
    expect([...seen].map((file) => relative(project.installed, file))).to.include.members([
      'docs/method.md',
      'docs/performance.md',
      'src/export/README.md',
      'src/programs/README.md',
      'tools/reference/README.md',
    ]);
  });

  it('names the systems that ONNX Runtime has binaries for', () => {
    const { os, cpu } = JSON.parse(readFileSync(join(project.installed, 'package.json'), 'utf8')) as {
      os: string[];
      cpu: string[];
    };
    const binaries = join(project.folder, 'node_modules/onnxruntime-node/bin/napi-v6');
    const has = (system: string, processor: string) => existsSync(join(binaries, system, processor));
    const none = os.flatMap((system) =>
      cpu.filter((processor) => !has(system, processor)).map((processor) => `${system} ${processor}`),
    );
    // npm cannot name pairs; README says that this one is missing.
    expect(none).to.deep.equal(['darwin x64']);
  });
});
