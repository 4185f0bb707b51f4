export interface KnnSettings {
  /** Neighbours that vote; where there are fewer training images, all of them do. */
  readonly k: number;
  /** T in the weight exp(s / T) of a neighbour at cosine similarity s. */
  readonly temperature: number;
}

/** The field's settings (Wu et al., 2018). */
export const defaultKnnSettings: KnnSettings = { k: 200, temperature: 0.1 };
