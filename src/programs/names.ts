/** Inputs and outputs of programs that training ties to tensors, by their names (README.md). */
export const names = {
  images: 'images',
  /** Classes of the images. */
  labels: 'labels',
  /** Embeddings of the key network or a teacher: outputs of `key` and `normalize`, inputs of `query`. */
  keys: 'keys',
  /** Keys of the other micro-batches of the step. */
  otherKeys: 'other_keys',
  queue: 'queue',
  /** Embeddings of the other micro-batches, by view. */
  otherViews: ['other_view1', 'other_view2'],
  loss: 'loss',
  lossWeight: 'loss_weight',
  /** Of float16: what the loss is multiplied by before it is differentiated. */
  lossScale: 'loss_scale',
  logits: 'logits',
  embedding: 'embedding',
} as const;

/** What the names of several inputs or outputs of a kind start with; behind it is what they are of. */
export const prefixes = {
  /** A wider width's predictions, by its label. */
  teacher: 'teacher.',
  /** A gradient, by its parameter. */
  gradient: 'grad.',
  /** What gradients are added to, by parameter. */
  sum: 'sum.',
} as const;
