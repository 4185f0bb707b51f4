/** A runtime that models are taken to, in an environment of its own. */
export interface Runtime {
  readonly title: string;
  /** What pip installs. */
  readonly packages: readonly string[];
  /** Of `runtimes/`, what runs a model. */
  readonly module: string;
  /** What it has not, by a part of the names of the models that need it; all others have to be right. */
  readonly lacks?: Readonly<Record<string, string>>;
}

/** Wheels of before NumPy 2. */
const numpy1 = 'numpy<2';

export const runtimes = {
  'onnx-reference': {
    title: 'ONNX checker and ReferenceEvaluator',
    packages: ['onnx'],
    module: 'onnx_reference',
    lacks: { '.int8': 'no DequantizeLinear before opset 19' },
  },
  onnxruntime: { title: 'ONNX Runtime', packages: ['onnxruntime'], module: 'onnxruntime_cpu' },
  'onnxruntime-1.16': {
    title: 'ONNX Runtime 1.16',
    packages: ['onnxruntime==1.16.3', numpy1],
    module: 'onnxruntime_cpu',
  },
  opencv: {
    title: 'OpenCV DNN',
    packages: ['opencv-python-headless'],
    module: 'opencv_dnn',
    lacks: { '.resize': 'Resize does not antialias' },
  },
  'opencv-4.8': {
    title: 'OpenCV DNN 4.8',
    packages: ['opencv-python-headless==4.8.1.78', numpy1],
    module: 'opencv_dnn',
    lacks: { '.resize': 'no dynamic shapes' },
  },
  openvino: {
    title: 'OpenVINO, float32',
    packages: ['openvino'],
    module: 'openvino_cpu',
    lacks: { '.resize': 'Resize does not antialias' },
  },
  tract: {
    title: 'tract',
    packages: ['tract'],
    module: 'tract_cpu',
    lacks: { '.resize': 'no computed sizes in Resize' },
  },
  ncnn: {
    title: 'ncnn through pnnx',
    packages: ['pnnx', 'ncnn'],
    module: 'ncnn_pnnx',
    lacks: {
      '.u8': 'no bytes in',
      '.fp16': 'no casts; makes float16 itself',
      '.int8': 'no QDQ; quantises itself',
    },
  },
  mnn: {
    title: 'MNN',
    packages: ['MNN', 'numpy'],
    module: 'mnn_cpu',
    lacks: { '.resize': 'Resize does not antialias', '.int8': 'no QDQ; quantises itself' },
  },
  litert: {
    title: 'LiteRT through onnx2tf',
    packages: ['onnx2tf'],
    module: 'litert_onnx2tf',
    lacks: { '.resize': 'no dynamic shapes', '.int8': 'converts QDQ to something else; quantises itself' },
  },
} as const satisfies Record<string, Runtime>;

export type RuntimeName = keyof typeof runtimes;
