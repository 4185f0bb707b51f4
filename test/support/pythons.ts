import { spawnSync } from 'node:child_process';

/** A Python that tests run on. */
export interface TestedPython {
  readonly python: string;
  /** For the title of what is skipped, e.g. ` (not here: no onnxruntime in python3)`; empty where it is there. */
  readonly missing: string;
}

/** Of the variable `SLIMCLR_PYTHON`, else `python3`: one with onnxruntime. */
export function stockPython(): TestedPython {
  return tested('SLIMCLR_PYTHON', 'onnxruntime', 'import onnxruntime');
}

/** Of the variable `SLIMCLR_PYTHON_TRAINING`, else `python3`: one with onnxruntime-training. */
export function trainingPython(): TestedPython {
  return tested(
    'SLIMCLR_PYTHON_TRAINING',
    'onnxruntime-training',
    'from onnxruntime.capi._pybind_state import CheckpointState',
  );
}

/** Of the variable `SLIMCLR_PYTHON_TORCH`, else `python3`: one with PyTorch, and with a package beside it. */
export function torchPython(beside?: 'torchvision' | 'timm'): TestedPython {
  const packages = ['torch', ...(beside ? [beside] : [])];
  return tested('SLIMCLR_PYTHON_TORCH', packages.join(' and '), `import ${packages.join(', ')}`);
}

/** Of the variable `SLIMCLR_PYTHON`, else `python3`: one with what the program of a model card imports. */
export function cardPython(): TestedPython {
  return tested('SLIMCLR_PYTHON', 'onnxruntime and pillow', 'import onnxruntime, PIL');
}

/** Of the variable `SLIMCLR_PYTHON_PYARROW`, else `python3`: one with pyarrow. */
export function arrowPython(): TestedPython {
  return tested('SLIMCLR_PYTHON_PYARROW', 'pyarrow', 'import pyarrow.parquet');
}

/** Of the variable `SLIMCLR_PYTHON_WEBDATASET`, else `python3`: one with webdataset. */
export function webdatasetPython(): TestedPython {
  return tested('SLIMCLR_PYTHON_WEBDATASET', 'webdataset', 'import webdataset');
}

const known = new Map<string, TestedPython>();

function tested(variable: string, wheel: string, statement: string): TestedPython {
  const found = known.get(statement);
  if (found) return found;
  const python = process.env[variable] ?? 'python3';
  const { status } = spawnSync(python, ['-c', `import numpy\n${statement}`], {
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    stdio: 'ignore',
  });
  const missing = status === 0 ? '' : ` (not here: no ${wheel} in ${python}; ${variable} names another)`;
  const result = { python, missing };
  known.set(statement, result);
  return result;
}
