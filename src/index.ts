/** `slimclr`: pre-train, evaluate, export and report; the commands of the command line as functions. */
export { LostEngineError, SlimclrError, UsageError } from './errors.js';
export { version } from './version.js';

// Configuration
export { formatConfig } from './config/format.js';
export { loadConfig, parseConfig, type ConfigSources } from './config/load.js';
export { presets, type Preset, type PresetName } from './config/presets.js';
export { configSchema, type Config, type ConfigInput } from './config/schema.js';

// Images
export { datasetNames, fetchDataset, type DatasetInfo, type FetchOptions } from './data/dataset.js';
export {
  openSource,
  type ImageSource,
  type ImageStore,
  type RawImage,
  type SkippedFile,
  type SourceOptions,
  type DatasetSplit,
} from './data/source.js';
export type { IgnoredFiles } from './data/folderListing.js';
export type { PackedImages } from './data/packedImages.js';
export {
  describeSource,
  type DescriptionOptions,
  type SourceDescription,
  type Statistics,
} from './data/sourceDescription.js';

// Pre-training
export { pretrain, type PretrainOptions, type TrainingControl } from './training/pretrain.js';
export {
  latestCheckpoint,
  listCheckpoints,
  readCheckpoint,
  type Checkpoint,
  type CheckpointEntry,
  type SavedCheckpoint,
} from './training/checkpoint.js';
export type { TensorData } from './onnx/safetensors.js';
export type { Diagnostics } from './diagnostics/measured.js';
export type { LoggedEvent, TrainingEvent, WidthLoss } from './training/events.js';
export { readEvents, type LogReader } from './training/eventLog.js';

// Evaluation, export, report
export type { Notices } from './keep.js';
export type { EvaluationOptions } from './evaluation/evaluation.js';
export type { KnnSettings } from './evaluation/knn.js';
export type { ProbeSettings } from './evaluation/probe.js';
export { evaluateKnn, type KnnOptions } from './evaluation/evaluateKnn.js';
export { evaluateProbe, type ProbeOptions } from './evaluation/evaluateProbe.js';
export {
  evaluateFinetune,
  type FinetuneOptions,
  type FinetuneSettings,
} from './evaluation/evaluateFinetune.js';
export { diagnose, type DiagnoseOptions } from './evaluation/diagnose.js';
export {
  probeProtocols,
  type Accuracy,
  type DiagnosticsResult,
  type ExportedModelRecord,
  type ExportResult,
  type FinetuneResult,
  type KnnResult,
  type ProbeProtocol,
  type ProbeResult,
  type RidgeProbeResult,
  type TrainedProbeResult,
  type WidthAccuracy,
} from './evaluation/results.js';
export { exportRun, type ExportOptions } from './export/exportRun.js';
export {
  exportTraining,
  type ExportedArtifacts,
  type TrainingExport,
  type TrainingExportOptions,
} from './export/training/exportTraining.js';
export { trainableLayers, type TrainableLayers } from './export/training/trainableLayers.js';
export type { ReportOptions } from './report/options.js';
export { writeReport } from './report/report.js';
export { readRun, type Run } from './report/run.js';
export type { History, Measurement } from './report/history.js';
export { summaryTable } from './report/table.js';

// Ablation
export { ablate, type AblateOptions, type PlannedRun } from './ablation/ablate.js';
export type {
  AblationEvaluation,
  AblationFailure,
  AblationResult,
  AblationRun,
  GradientMeans,
  Spread,
  VariantSummary,
} from './ablation/results.js';
export { defaultTable, readTable, type AblationTable } from './ablation/variants.js';

// Training graphs as files
export { buildPrograms, emitMethod } from './methods/index.js';
export type { EmittedProgram, EmittedPrograms } from './programs/folder.js';
export type {
  GraphEntry,
  GraphKind,
  InputEntry,
  InputKind,
  Manifest,
  OutputEntry,
  ParameterEntry,
  ParameterRole,
  StatisticEntry,
} from './programs/manifest.js';
export { readManifest } from './programs/readManifest.js';
export { builtInTarget } from './tuning/chooseTarget.js';

// This machine
export { doctor, type CachedDataset, type DoctorOptions, type DoctorReport } from './runtime/doctor.js';
export type { EngineReport, ProviderReport } from './runtime/engineReports.js';
export type { BlockedKernels } from './runtime/nchwcProbe.js';
