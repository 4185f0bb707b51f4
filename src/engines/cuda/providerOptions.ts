import { deviceOf, type EngineOptions } from '../engineOptions.js';

/** The options of ONNX Runtime's CUDA provider, by its names for them. */
export function cudaProviderOptions(engine: Pick<EngineOptions, 'device' | 'cuda'>): Record<string, string> {
  const { memoryLimit = 0, convolutionSearch = 'heuristic', tf32 = true, graphs = false } = engine.cuda ?? {};
  const options: Record<string, string> = {
    device_id: String(deviceOf(engine)),
    // Else the arena takes twice what it has each time that it grows.
    arena_extend_strategy: 'kSameAsRequested',
    cudnn_conv_algo_search: convolutionSearch.toUpperCase(),
    use_tf32: tf32 ? '1' : '0',
    enable_cuda_graph: graphs ? '1' : '0',
  };
  if (memoryLimit > 0) options['gpu_mem_limit'] = String(memoryLimit);
  return options;
}
