import type { Target } from './target.js';

/** Standard ONNX operators only: every provider, every ONNX Runtime, the browser. */
export const portable: Target = { name: 'portable', opset: 17, optimization: 'all' };
