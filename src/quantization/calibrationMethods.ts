/** How ranges are chosen from the values of activations (`calibrateRanges`). */
export const calibrationMethods = ['minmax', 'percentile', 'entropy'] as const;
export type CalibrationMethod = (typeof calibrationMethods)[number];
