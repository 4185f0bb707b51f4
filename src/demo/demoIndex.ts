/** `index/demo.json` of a demo: what its page shows, the paths relative to the page. */
export interface DemoIndex {
  /** Of the run. */
  readonly title: string;
  /** Of the models. */
  readonly manifest: string;
  /** Narrowest first. */
  readonly widths: readonly DemoWidth[];
  /** Images that neighbours are found among. */
  readonly count: number;
  /** Index into `classes` of each image, below 0 for one without a label; null where images have no classes. */
  readonly labels: readonly number[] | null;
  readonly classes: readonly string[];
  /** One picture of all images, in rows of `columns` squares of `side` pixels. */
  readonly sheet: { readonly file: string; readonly side: number; readonly columns: number };
  /** Images to try it with, of which neighbours are not among. */
  readonly samples: readonly DemoSample[];
}

export interface DemoWidth {
  readonly width: number;
  /** Of the model in the manifest. */
  readonly model: string;
  /** Features of the images, of length 1: float32, little-endian, [count, channels]. */
  readonly features: string;
  readonly channels: number;
  /** Share of test images that kNN classifies right; null where it is not known. */
  readonly knn: number | null;
}

export interface DemoSample {
  readonly file: string;
  /** Null where images have no classes. */
  readonly className: string | null;
}
