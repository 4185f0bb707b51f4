import type Koffi from 'koffi';
import { createRequire } from 'node:module';

/**
 * Stack of a thread that calls foreign functions and is not JavaScript's, which koffi allocates: loading a graph
 * recurses, and so do compilers of shaders.
 */
const stackBytes = 8 * 2 ** 20;

let loaded: typeof Koffi | undefined;

/** koffi, which calls foreign functions; loaded at first use. Throws what `require` does where it is not installed. */
export function koffi(): typeof Koffi {
  return (loaded ??= load());
}

/** Whether functions that need some stack can be called away from the JavaScript thread. */
export function hasAsyncStack(): boolean {
  return (koffi().config().async_stack_size ?? 0) >= stackBytes;
}

/**
 * Keeps a library for the life of the process: koffi unloads it with its thread, when threads of it may still run.
 * `global`: what it exports is there for libraries that are loaded later.
 */
export function pin(path: string, { global = false } = {}): void {
  if (process.platform === 'win32')
    koffi().load('kernel32.dll').func('LoadLibraryW', 'void *', ['str16'])(path);
  else koffi().load(null).func('dlopen', 'void *', ['str', 'int'])(path, now | (global ? globally : 0));
}

/** RTLD_NOW, RTLD_GLOBAL of Linux. */
const [now, globally] = [0x2, 0x100];

function load(): typeof Koffi {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  try {
    koffi.config({ async_stack_size: stackBytes });
  } catch {
    // Somebody else in this thread has loaded a library with it, after which settings stay.
  }
  return koffi;
}
