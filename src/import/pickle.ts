import { SlimclrError } from '../errors.js';
import { printable } from '../printable.js';
import { PickleReader } from './pickleReader.js';

/*
 * Python's pickle format as data (protocols 2 to 5, the opcodes that dictionaries of tensors are written with). Nothing
 * is looked up, called or constructed but by the `PickleNames` that the caller gives. NOTE: own code, since the reader in
 * the npm registry makes an empty object of whatever name it does not know, and applies state to any object.
 */

/** A tuple; lists are arrays, dictionaries are Maps. */
export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

/** What the names in a pickle stand for. Each throws a SlimclrError for what is not on its list. */
export interface PickleNames {
  /** The value of `module.name`. */
  global(module: string, name: string): unknown;
  /** What a call of such a value gives. */
  call(callable: unknown, args: readonly unknown[]): unknown;
  /** What lies outside of the pickle. */
  persistent(id: unknown): unknown;
}

/** Where a MARK was put on the stack. */
const mark = Symbol('mark');

/** The value of a pickle. Throws a SlimclrError, one line, for whatever is not one, or not on the lists of `names`. */
export function unpickle(bytes: Uint8Array, names: PickleNames): unknown {
  const reader = new PickleReader(bytes);
  const stack: unknown[] = [];
  const memo = new Map<number, unknown>();
  const pop = (): unknown => {
    if (stack.length === 0 || stack.at(-1) === mark) throw reader.damaged();
    return stack.pop();
  };
  const top = (): unknown => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const sinceMark = (): unknown[] => {
    const at = stack.lastIndexOf(mark);
    if (at === -1) throw reader.damaged();
    return stack.splice(at).slice(1);
  };
  const remembered = (key: number): unknown => {
    if (!memo.has(key)) throw reader.damaged();
    return memo.get(key);
  };
  const setItems = (items: readonly unknown[]) => {
    const map = top();
    if (!(map instanceof Map) || items.length % 2 !== 0) throw reader.damaged();
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
  };
  const append = (items: readonly unknown[]) => {
    const list = top();
    if (!Array.isArray(list)) throw reader.damaged();
    for (const item of items) list.push(item);
  };
  const add = (items: readonly unknown[]) => {
    const set = top();
    if (!(set instanceof Set)) throw reader.damaged();
    for (const item of items) set.add(item);
  };
  const last = (count: number): unknown[] => Array.from({ length: count }, pop).reverse();
  const text = (): string => {
    const value = pop();
    if (typeof value !== 'string') throw reader.damaged();
    return value;
  };

  for (;;) {
    const opcode = reader.unsigned(1);
    switch (opcode) {
      case 0x80: {
        const protocol = reader.unsigned(1);
        if (protocol < 2 || protocol > 5) {
          throw new SlimclrError(`pickle of protocol ${protocol}; accepted: 2 to 5`);
        }
        break;
      }
      case 0x95: // FRAME: how much follows in one piece.
        reader.length(8);
        break;
      case 0x2e: {
        // STOP
        const value = pop();
        if (stack.length > 0) throw reader.damaged();
        return value;
      }
      case 0x28:
        stack.push(mark);
        break;
      case 0x30: // POP, of a mark, too.
        if (stack.length === 0) throw reader.damaged();
        stack.pop();
        break;
      case 0x31: // POP_MARK
        sinceMark();
        break;

      // Constants
      case 0x4e:
        stack.push(null);
        break;
      case 0x88:
      case 0x89:
        stack.push(opcode === 0x88);
        break;
      case 0x4a:
        stack.push(reader.signed32());
        break;
      case 0x4b:
        stack.push(reader.unsigned(1));
        break;
      case 0x4d:
        stack.push(reader.unsigned(2));
        break;
      case 0x8a: // LONG1
        stack.push(reader.long(reader.unsigned(1)));
        break;
      case 0x47:
        stack.push(reader.float64());
        break;
      case 0x8c:
        stack.push(reader.text(reader.unsigned(1)));
        break;
      case 0x58:
        stack.push(reader.text(reader.length(4)));
        break;
      case 0x8d:
        stack.push(reader.text(reader.length(8)));
        break;
      case 0x43:
        stack.push(reader.bytes(reader.unsigned(1)));
        break;
      case 0x42:
        stack.push(reader.bytes(reader.length(4)));
        break;
      case 0x8e:
      case 0x96:
        stack.push(reader.bytes(reader.length(8)));
        break;

      // Containers
      case 0x7d:
        stack.push(new Map());
        break;
      case 0x5d:
        stack.push([]);
        break;
      case 0x8f:
        stack.push(new Set());
        break;
      case 0x29:
        stack.push(new Tuple([]));
        break;
      case 0x74:
        stack.push(new Tuple(sinceMark()));
        break;
      case 0x85:
      case 0x86:
      case 0x87:
        stack.push(new Tuple(last(opcode - 0x84)));
        break;
      case 0x91:
        stack.push(new Set(sinceMark()));
        break;
      case 0x73:
        setItems(last(2));
        break;
      case 0x75:
        setItems(sinceMark());
        break;
      case 0x61:
        append(last(1));
        break;
      case 0x65:
        append(sinceMark());
        break;
      case 0x90:
        add(sinceMark());
        break;

      // What was met before
      case 0x71:
        memo.set(reader.unsigned(1), top());
        break;
      case 0x72:
        memo.set(reader.length(4), top());
        break;
      case 0x94:
        memo.set(memo.size, top());
        break;
      case 0x68:
        stack.push(remembered(reader.unsigned(1)));
        break;
      case 0x6a:
        stack.push(remembered(reader.length(4)));
        break;

      // Names
      case 0x63:
        stack.push(names.global(reader.line(), reader.line()));
        break;
      case 0x93: {
        const name = text();
        stack.push(names.global(text(), name));
        break;
      }
      case 0x51:
        stack.push(names.persistent(pop()));
        break;
      case 0x52: {
        const args = pop();
        if (!(args instanceof Tuple)) throw reader.damaged();
        stack.push(names.call(pop(), args.items));
        break;
      }
      case 0x62: // BUILD: attributes of a dictionary, such as the versions of its modules. Nothing reads them.
        pop();
        if (!(top() instanceof Map)) throw reader.refused('sets attributes of an object');
        break;
      case 0x81:
      case 0x92:
        throw reader.refused('makes an object of a class');
      default:
        throw reader.refused(`has opcode 0x${opcode.toString(16).padStart(2, '0')}`);
    }
  }
}

/** A name of a pickle as a message shows it. */
export function shownName(module: string, name: string): string {
  const text = printable(`${module}.${name}`);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
