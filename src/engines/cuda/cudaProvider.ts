import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { oneLine, SlimclrError } from '../../errors.js';
import { once } from '../../once.js';
import { koffi } from '../../koffi.js';
import { DeviceRoom } from '../deviceRoom.js';
import { deviceOf, type EngineOptions } from '../engineOptions.js';
import type { OrtApi, Pointer } from '../ortApi.js';
import type { OrtLibrary } from '../ortLibrary.js';
import type { Provider } from '../provider.js';
import { lostDevice } from '../python/refusals.js';
import { refuseWithoutDevice } from './driver.js';
import { cudaProviderOptions } from './providerOptions.js';

const advice =
  'accepted: runtime.library, the libonnxruntime of the wheel onnxruntime-gpu (`pip install ' +
  '"onnxruntime-gpu[cuda,cudnn]"`), or runtime.engine "python"';

/**
 * ONNX Runtime's CUDA provider through its C API. Throws a SlimclrError, in one line, for a machine without a driver or
 * device, a library without the provider, and libraries of CUDA that are not there.
 */
export function cudaProvider(library: OrtLibrary, options: EngineOptions): Provider {
  const { cuda } = options;
  const device = deviceOf(options);
  refuseWithoutDevice(device);
  refuseWithoutProvider(library);
  preload(library.path);
  const graphs = cuda?.graphs ?? false;
  once(arenas, `${device} of ${library.path}`, () =>
    shareArena(library, 'CUDAExecutionProvider', { name: 'Cuda', device, bytes: cuda?.memoryLimit ?? 0 }),
  );
  return {
    append: (api, session, withGraphs = graphs) =>
      append(api, session, { ...options, cuda: { ...cuda, graphs: withGraphs } }),
    graphs,
    openRoom: (openSession) =>
      DeviceRoom.open(library, openSession, {
        name: 'Cuda',
        device,
        graphs,
        isLost: ({ message }) => lostDevice({ error: message }),
      }),
  };
}

/** Whether the sessions of a device share one. */
const arenas = new Map<string, boolean>();

/**
 * One arena for all sessions of a device: what one of them frees, the next one gets. Where this ONNX Runtime has none to
 * share, or has it already, sessions are none the worse. `bytes`: that it may take, 0 for all.
 */
export function shareArena(
  { api, environment }: Pick<OrtLibrary, 'api' | 'environment'>,
  provider: string,
  { name, device, bytes }: { name: string; device: number; bytes: number },
): boolean {
  // kSameAsRequested
  const settings = { max_mem: bytes, arena_extend_strategy: 1 };
  const sizes = BigUint64Array.from(Object.values(settings), BigInt);
  const arena = api.createArenaConfig(Object.keys(settings), sizes, sizes.length);
  const place = api.createMemoryInfo(name, 1, device, 0);
  try {
    api.createAndRegisterAllocator(environment, provider, place, arena, [], [], 0);
    return true;
  } catch {
    return false;
  } finally {
    api.releaseMemoryInfo(place);
    api.releaseArenaConfig(arena);
  }
}

function append(api: OrtApi, session: Pointer, options: EngineOptions): void {
  api.addSessionConfigEntry(session, 'session.use_env_allocators', '1');
  const entries = cudaProviderOptions(options);
  const cuda = api.createCudaOptions();
  try {
    api.updateCudaOptions(cuda, Object.keys(entries), Object.values(entries), Object.keys(entries).length);
    api.appendCuda(session, cuda);
  } catch (cause) {
    // Behind its place in the source, what the loader of libraries says.
    const reason = oneLine(cause as Error)
      .replace(/^.* with error: /, '')
      .trim();
    throw new SlimclrError(
      `ONNX Runtime's CUDA provider is not to be had here (${reason}); accepted: the libraries of CUDA ` +
        'and cuDNN that it names, e.g. those of `pip install "onnxruntime-gpu[cuda,cudnn]"`',
      { cause },
    );
  } finally {
    api.releaseCudaOptions(cuda);
  }
}

/** The provider is a library beside ONNX Runtime's. */
export function refuseWithoutProvider({
  api,
  path,
  version,
}: Pick<OrtLibrary, 'api' | 'path' | 'version'>): void {
  const file =
    process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so';
  if (!api.providers().includes('CUDAExecutionProvider')) {
    throw new SlimclrError(`${path}: this ONNX Runtime ${version} is built without CUDA; ${advice}`);
  }
  if (!existsSync(join(dirname(path), file))) {
    throw new SlimclrError(`${path}: without ${file} beside it, which has the CUDA provider; ${advice}`);
  }
}

/** What the provider needs, and what that needs, in any order. */
const cudaLibraries = /^lib(cudart|cublas|cublasLt|cufft|curand|nvrtc|nvJitLink|cudnn\w*)\.so\.\d+$/;

/**
 * Loads the libraries of CUDA that wheels have put beside that of ONNX Runtime (`site-packages/nvidia`), where the loader
 * does not look. What does not load is left to the provider to complain of.
 */
function preload(library: string): void {
  const root = join(dirname(library), '..', '..', 'nvidia');
  if (process.platform !== 'linux' || !existsSync(root)) return;
  let waiting = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => cudaLibraries.test(path.slice(path.lastIndexOf('/') + 1)))
    .map((path) => join(root, path));
  const dlopen = koffi().load(null).func('dlopen', 'void *', ['str', 'int']) as (
    path: string,
    flags: number,
  ) => unknown;
  /** RTLD_LAZY and RTLD_GLOBAL. */
  const flags = 0x101;
  for (let left = Infinity; waiting.length < left;) {
    left = waiting.length;
    waiting = waiting.filter((path) => dlopen(path, flags) === null);
  }
}
