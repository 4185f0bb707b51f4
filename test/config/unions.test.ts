import { expect } from 'chai';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig, parseConfig, withAssignments } from '../../src/config/load.js';
import { kindOf, rootNode, type SchemaNode } from '../../src/config/schemaNode.js';
import { UsageError } from '../../src/errors.js';
import { removeFolder } from '../support/removeFolder.js';

/** Every union of the config, by its path. */
function unionsIn(node: SchemaNode, path: string): [path: string, branches: readonly SchemaNode[]][] {
  const here: [string, readonly SchemaNode[]][] = node.oneOf ? [[path, node.oneOf]] : [];
  const below = (node.oneOf ?? [node]).flatMap(({ properties = {} }) =>
    Object.entries(properties).flatMap(([key, child]) =>
      unionsIn(child, path === '' ? key : `${path}.${key}`),
    ),
  );
  return [...here, ...below];
}

/** A value that a key takes, of one kind of a union and of another, and that is no default of either. */
function sample({ type, default: usual, enum: choices, items }: SchemaNode): unknown {
  if (type === 'number') return usual === 0 ? 0.45 : 0.45 * (usual as number);
  if (type === 'integer')
    return (usual as number) % 256 === 0 ? 2 * (usual as number) : 3 + (usual as number);
  if (type === 'boolean') return !usual;
  if (type === 'string') return choices ? choices.find((choice) => choice !== usual) : 'sample';
  expect(type).to.equal('array');
  return (items as SchemaNode).enum ? (items as SchemaNode).enum!.slice(-1) : [7];
}

function valueAt(config: unknown, path: string): unknown {
  return path.split('.').reduce((value, key) => (value as Record<string, unknown>)[key], config);
}

/** `{ a: { b: value } }` of `a.b`. */
function nested(path: string, value: unknown): unknown {
  return path.split('.').reduceRight((child, key) => ({ [key]: child }), value);
}

describe('another kind of a union of the config', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'slimclr-config-'))));
  after(() => removeFolder(folder));

  const unions = unionsIn(rootNode, '');
  it('is tested for every union', () => {
    expect(unions.map(([path]) => path)).to.include.members([
      'method',
      'schedule',
      'techniques.distillation',
    ]);
  });

  for (const [path, branches] of unions) {
    for (const from of branches) {
      for (const to of branches.filter((branch) => branch !== from)) {
        const [oldKind, newKind] = [kindOf(from) as string, kindOf(to) as string];
        const keys = Object.entries(from.properties!).filter(([key]) => key !== 'kind');
        // SEED is refused without a teacher.
        const needed = newKind === 'seed' ? ['method.teacher=t.onnx'] : [];
        const common = keys.filter(([key]) => key !== 'teacher' && Object.hasOwn(to.properties!, key));
        const others = keys.filter(([key]) => !Object.hasOwn(to.properties!, key));

        if (common.length > 0) {
          it(`${path}.kind ${oldKind} -> ${newKind}: ${common.map(([key]) => key).join(', ')} carry over`, () => {
            for (const [key, node] of common) {
              const value = sample(node);
              const [kind, assigned] = [`${path}.kind=${newKind}`, `${path}.${key}=${JSON.stringify(value)}`];
              const file = join(folder, 'config.json');
              const old = nested(path, { kind: oldKind, [key]: value });
              writeFileSync(file, JSON.stringify(old));
              const teacher =
                oldKind === 'seed' ? { method: { kind: oldKind, teacher: 't.onnx', [key]: value } } : {};
              const complete = parseConfig({ ...(old as object), ...teacher });
              for (const config of [
                loadConfig({ set: [kind, assigned, ...needed] }),
                loadConfig({ set: [assigned, kind, ...needed] }),
                loadConfig({ file, set: [kind, ...needed] }),
                withAssignments(complete, [kind, ...needed]),
              ]) {
                expect(valueAt(config, path), key).to.deep.include({ kind: newKind, [key]: value });
              }
            }
          });
        }

        it(`${path}.kind ${oldKind} -> ${newKind}: what was not set takes the default of ${newKind}`, () => {
          const teacher = oldKind === 'seed' ? { teacher: 't.onnx' } : {};
          const complete = parseConfig(nested(path, { kind: oldKind, ...teacher }));
          const changed = withAssignments(complete, [`${path}.kind=${newKind}`, ...needed]);
          expect(changed).to.deep.equal(loadConfig({ set: [`${path}.kind=${newKind}`, ...needed] }));
        });

        for (const [key, node] of others) {
          it(`${path}.${key}, which ${newKind} has not: refused in either order`, () => {
            const set = [
              `${path}.${key}=${JSON.stringify(sample(node))}`,
              `${path}.kind=${newKind}`,
              ...needed,
            ];
            for (const order of [set, set.toReversed()]) {
              expect(() => loadConfig({ set: order }))
                .to.throw(UsageError)
                .with.property('message')
                .that.includes(`${path}.${key} does not exist for ${path}.kind "${newKind}"; it belongs to`);
            }
          });
        }
      }
    }
  }

  it('the peak of a preset stays with another schedule, its weight decay with another optimizer', () => {
    const set = ['schedule.kind=constant', 'optimizer.kind=lars'];
    const { schedule, optimizer } = loadConfig({ preset: 'cifar10-resnet20', set });
    expect(schedule).to.include({ kind: 'constant', peak: 0.12 });
    expect(optimizer).to.deep.include({ kind: 'lars', weightDecay: 5e-4, decay: ['weight'] });
  });

  it('a key of a file that no kind has is refused whatever kind an assignment chooses', () => {
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify({ method: { temprature: 0.3 } }));
    expect(() => loadConfig({ file, set: ['method.kind=simclr'] })).to.throw(
      '"method.temprature"; did you mean',
    );
  });
});

describe('what a key of the config accepts', () => {
  /** Every key of the config with a value that no key takes. */
  function keysIn(node: SchemaNode, path: string): string[] {
    return (node.oneOf ?? [node]).flatMap(({ properties = {} }) =>
      Object.entries(properties).flatMap(([key, child]) => {
        const here = path === '' ? key : `${path}.${key}`;
        return [here, ...keysIn(child, here)];
      }),
    );
  }

  it('is named for every key', () => {
    for (const key of new Set(keysIn(rootNode, ''))) {
      for (const value of [null, [{}], { '': 0 }]) {
        try {
          parseConfig(nested(key, value));
          expect.fail(`${key} takes ${JSON.stringify(value)}`);
        } catch (error) {
          expect(error).to.be.instanceOf(UsageError);
          expect((error as Error).message, key)
            .to.match(/\S$/)
            .and.not.match(/(keys|accepted:) *(;|$)/);
        }
      }
    }
  });
});
