export interface ReportOptions {
  /** Where data sets are kept; nothing is downloaded into it. */
  readonly cacheDirectory?: string;
}
