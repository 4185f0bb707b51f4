import { z } from 'zod';
import { lossyNumber, lossyNumbers, type Json } from '../readJson.js';

const byLabel = <T extends z.ZodType>(value: T) => z.record(z.string(), value);

/** Gradients and features at one step (docs/method.md, diagnostics); keyed by width label. */
export const diagnosticsSchema = z.object({
  /**
   * For each width: mean over the weight tensors of the L2 norm of the total gradient in the region that the width
   * uses (theta_w), and in the rest of the full tensor (theta_1.0 without theta_w; null for the full width); `ratio`
   * is rest / region.
   */
  gradientNorms: byLabel(
    z.object({ region: lossyNumber, rest: z.number().nullable(), ratio: z.number().nullable() }),
  ),
  /**
   * For each pair of widths, wide one first: cosine between the gradients of their (weighted) losses on the weights
   * both use, over all of these together and by parameter.
   */
  cosines: z.array(
    z.object({
      wide: z.string(),
      narrow: z.string(),
      cosine: lossyNumber,
      layers: lossyNumbers,
    }),
  ),
  /** By weight tensor: norm of the total gradient in the region of each width. */
  layerNorms: z.record(z.string(), lossyNumbers),
  /**
   * Embeddings of the batch: alignment of positives `mean |q - k|^2`, uniformity `log mean exp(-2 |q_i - q_j|^2)`
   * (Wang and Isola, 2020), and the standard deviation of a coordinate, averaged and times sqrt(dimension): 1 for
   * embeddings spread over the sphere, 0 when they collapsed. Absent for methods without embeddings.
   */
  features: byLabel(
    z.object({ alignment: lossyNumber, uniformity: lossyNumber, std: lossyNumber }),
  ).exactOptional(),
  /** Age of the queue's entries in steps. Absent for methods without a queue. */
  queueAge: z.object({ mean: lossyNumber, max: lossyNumber }).exactOptional(),
});

/**
 * Gradients and features at one step (docs/method.md, diagnostics); keyed by width label.
 * @interface
 */
export type Diagnostics = Json<typeof diagnosticsSchema>;
