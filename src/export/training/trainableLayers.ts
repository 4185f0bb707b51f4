/** What fine-tuning on a device trains: the classifier; with it the last stage of the encoder; all layers. */
export const trainableLayers = ['classifier', 'stage', 'all'] as const;
export type TrainableLayers = (typeof trainableLayers)[number];
