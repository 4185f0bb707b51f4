import { LostEngineError, oneLine, SlimclrError } from '../../errors.js';
import { printable } from '../../printable.js';
import { shellWord } from '../../shellWord.js';
import type { Answer } from './workerProcess.js';

/**
 * An error that leaves nothing to go on with: of the device, not of the request. CUDA's codes from 100 on, and what its
 * libraries say when a kernel of theirs has failed.
 */
const deviceErrors = /CUDA failure (4|46|[1-9]\d\d):|STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR)/i;
const outOfMemory =
  /out of memory|bad_alloc|failed to allocate memory|unable to allocate|ALLOC_FAILED|CUDA failure 2:/i;

/** Whether the device is gone, so that nothing but another engine helps. */
export function lostDevice({ error = '' }: Pick<Answer, 'error'>): boolean {
  return deviceErrors.test(error) && !outOfMemory.test(error);
}

/** Why the worker of an interpreter does not open, and what to do. */
export function openRefusal(
  { error = '', type }: Pick<Answer, 'error' | 'type'>,
  python: string,
  device: number,
): SlimclrError {
  const reason = shortened(error);
  const name = `runtime.python "${printable(python)}"`;
  const pip = `${shellWord(python)} -m pip install`;
  if (type === 'NotImplementedError') {
    return new SlimclrError(
      `${name}: its onnxruntime has no CUDA provider; accepted: an environment without that wheel, with: ` +
        `${pip} "onnxruntime-gpu[cuda,cudnn]"`,
    );
  }
  if (/libcuda\.so|nvcuda|\bcuInit\b/.test(error)) {
    return new SlimclrError(
      `runtime.provider "cuda" finds no NVIDIA driver or no GPU (${reason}); accepted: a machine with both, where ` +
        'nvidia-smi shows them, or runtime.provider "cpu"',
    );
  }
  if (/\bcuDeviceGet\b/.test(error)) {
    return new SlimclrError(
      `there is no CUDA device ${device} (${reason}); accepted: those that nvidia-smi lists`,
    );
  }
  // What the loader of libraries says, or ONNX Runtime when it has made a session without CUDA.
  if (type === 'OSError' || /CUDA provider was not made/.test(error)) {
    const wheels = /\.so\.(11|8)\b/.test(error)
      ? 'nvidia-cuda-runtime-cu11 nvidia-cublas-cu11 nvidia-cudnn-cu11==8.9.6.50 nvidia-curand-cu11 nvidia-cufft-cu11'
      : '"onnxruntime-gpu[cuda,cudnn]"';
    return new SlimclrError(
      `${name}: a library of CUDA is missing (${reason}); accepted: those that this brings: ${pip} ${wheels}`,
    );
  }
  if (type === 'SystemError' || (/numpy/i.test(error) && !/No module named 'numpy'/.test(error))) {
    return new SlimclrError(
      `${name}: its onnxruntime does not go with its numpy (${reason}); accepted: ${pip} "numpy<2"`,
    );
  }
  if (type === 'ModuleNotFoundError' || type === 'ImportError') {
    return new SlimclrError(
      `${name} has no onnxruntime (${reason}); accepted: an interpreter that has it, after: ${pip} onnxruntime`,
    );
  }
  return new SlimclrError(`${name} cannot start its worker (${type}: ${reason})`);
}

/** Why a wheel does not take a graph, and what to do. */
export function loadRefusal(
  { error = '' }: Pick<Answer, 'error'>,
  graph: string,
  wheel: string,
): SlimclrError {
  const [, given, newest] = /IR version: (\d+), max supported IR version: (\d+)/.exec(error) ?? [];
  if (given !== undefined) {
    return new SlimclrError(
      `${graph}: ${wheel} does not read IR version ${given}; accepted: up to ${newest}, or a newer wheel`,
    );
  }
  const [, opset] = /support for domain ai\.onnx is till opset (\d+)/.exec(error) ?? [];
  if (opset !== undefined) {
    return new SlimclrError(`${graph}: ${wheel} reads opsets up to ${opset} only; accepted: a newer wheel`);
  }
  const [, operator] = /(\S+?)\(-?\d+\) is not a registered function\/op/.exec(error) ?? [];
  if (operator !== undefined) {
    const hint = trainingOperators.test(operator)
      ? 'onnxruntime-training 1.19.2: pip install "numpy<2" onnxruntime-training-cpu==1.19.2'
      : 'a wheel that has it';
    return new SlimclrError(`${graph}: ${wheel} has no operator ${operator}; accepted: ${hint}`);
  }
  if (outOfMemory.test(error)) return new SlimclrError(`${graph}: out of memory (${shortened(error)})`);
  return new SlimclrError(`${graph}: ${wheel} does not load it: ${shortened(error)}`);
}

/** Why a run failed. */
export function runRefusal({ error = '' }: Pick<Answer, 'error'>, what: string, wheel: string): SlimclrError {
  const reason = shortened(error);
  if (outOfMemory.test(error)) {
    return new SlimclrError(`${what}: out of memory on ${wheel} (${reason}); accepted: a smaller batchSize`);
  }
  if (lostDevice({ error })) return new LostEngineError(`${what}: the device is lost (${reason})`);
  return new SlimclrError(`${what}: ${reason}`);
}

/** Those of the training build that a stock one lacks. */
const trainingOperators =
  /^com\.microsoft:\w*(Grad|Internal|SGDOptimizer|AdamW|Accumulator|ConcatTraining|SplitTraining|ReduceAllL2)/;

/** A message of ONNX Runtime in one line, without positions in its source. */
function shortened(message: string): string {
  return printable(
    oneLine({ message })
      .replace(/^\[ONNXRuntimeError\] : \d+ : \w+ : /, '')
      .replace(/\S+\.(cc|h|cpp|cu):\d+ \S+\s*/g, '')
      .trim(),
  ).slice(0, 600);
}
