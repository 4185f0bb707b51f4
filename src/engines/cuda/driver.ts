import { koffi } from '../../koffi.js';
import { reasonOf, SlimclrError } from '../../errors.js';

/**
 * Throws a SlimclrError, in one line, where there is no NVIDIA driver or no such device: ONNX Runtime's provider would
 * end the process.
 */
export function refuseWithoutDevice(device: number, library = driverLibrary()): void {
  let init: (flags: number) => number;
  let deviceCount: (count: [number]) => number;
  try {
    const driver = koffi().load(library);
    init = driver.func('cuInit', 'int', ['uint32']) as typeof init;
    const out = koffi().out(koffi().pointer('int'));
    deviceCount = driver.func('cuDeviceGetCount', 'int', [out]) as typeof deviceCount;
  } catch (cause) {
    throw new SlimclrError(
      `no NVIDIA driver is here (${library}: ${reasonOf(cause)}); ` +
        'accepted for runtime.provider "cuda": a machine with an NVIDIA GPU and its driver',
      { cause },
    );
  }
  const code = init(0);
  const count: [number] = [0];
  if (code === 0) deviceCount(count);
  if (count[0] === 0) {
    throw new SlimclrError(
      `NVIDIA's driver has no device here (code ${code}); accepted: one that nvidia-smi lists`,
    );
  }
  if (device >= count[0]) {
    throw new SlimclrError(`there is no CUDA device ${device}; accepted: 0 to ${count[0] - 1}`);
  }
}

function driverLibrary(): string {
  return process.platform === 'win32' ? 'nvcuda.dll' : 'libcuda.so.1';
}
