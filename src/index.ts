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
  type PixelFormat,
  type RawImage,
  type SkippedFile,
  type SourceOptions,
  type DatasetSplit,
} from './data/source.js';
export {
  openTrainingImages,
  type TrainingImages,
  type TrainingImagesOptions,
} from './data/trainingImages.js';
export type { EncodedImages, MixedImages } from './data/encodedImages.js';
export type { FolderImages } from './data/folderImages.js';
export type { ShardImages } from './data/shards/shardImages.js';
export type { ParquetImages } from './data/parquet/parquetImages.js';
export { packShards, type PackedShards, type PackOptions } from './data/shards/packShards.js';
export type { PackedStrings } from './data/packedStrings.js';
export type { IgnoredFiles } from './data/folderListing.js';
export type { DatasetImages } from './data/datasetImages.js';
export type { PackedImages } from './data/packedImages.js';
export {
  describeSource,
  type ClassDescription,
  type DescriptionOptions,
  type SourceDescription,
  type Statistics,
} from './data/sourceDescription.js';
export { statisticsOptions, type MeasuredStatistics } from './data/measuredStatistics.js';

// Pre-training
export { pretrain, type PretrainOptions, type TrainingControl } from './training/pretrain.js';
export {
  bestCheckpoint,
  latestCheckpoint,
  listCheckpoints,
  readCheckpoint,
  type BestMark,
  type Checkpoint,
  type CheckpointEntry,
  type SavedCheckpoint,
} from './training/checkpoint.js';
export type { TensorData } from './onnx/safetensors.js';
export type { Diagnostics } from './diagnostics/measured.js';
export type { LoggedEvent, TrainingEvent, WidthLoss } from './training/events.js';
export { readEvents, type LogReader } from './training/eventLog.js';

// Other people's weights
export { importRun, type ImportOptions, type ImportResult } from './import/importRun.js';
export type { ReadOptions } from './import/readModel.js';

// Evaluation, export, report
export type { Notices } from './keep.js';
export type { EvaluationOptions } from './evaluation/evaluation.js';
export type { KnnSettings } from './evaluation/knnSettings.js';
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
export type { FormOptions } from './export/formOptions.js';
export type { InputForm } from './export/form.js';
export type {
  Conversion,
  ConversionOptions,
  ConversionTest,
  ConvertedSide,
  Quantization,
} from './export/conversion.js';
export type { Precision } from './export/form.js';
export type { CalibrationMethod } from './quantization/calibrationMethods.js';
export type { FeatureAccuracy } from './quantization/quantizationAccuracy.js';
export type { ActivationType } from './quantization/scales.js';
export { exportHuggingFace, type HuggingFaceExport } from './export/huggingFace.js';
export { exportWithin, type BudgetExport } from './export/exportWithin.js';
export type { Budget } from './export/budget.js';
export type { CandidateModel, Candidates } from './export/candidates.js';
export {
  readExportManifest,
  type ExportManifest,
  type ManifestModel,
  type ManifestRun,
} from './export/manifest.js';
export type { Preprocessing } from './export/preprocessing.js';
export {
  exportTraining,
  type ExportedArtifacts,
  type TrainingExport,
  type TrainingExportOptions,
} from './export/training/exportTraining.js';
export { trainableLayers, type TrainableLayers } from './export/training/trainableLayers.js';
export { exportDemo, serveDemo, type DemoOptions, type SiteServer } from './demo/demo.js';
export { embed, type EmbedOptions, type EmbedResult } from './embedding/embed.js';
export type { EmbedWatch } from './embedding/embedImages.js';
export type { EncoderOptions } from './embedding/imageEncoder.js';
export { checkModels } from './check/check.js';
export { updateGoldenModels } from './check/update.js';
export type { GoldenUpdate } from './check/goldenModels.js';
export type { CheckOptions, UpdateOptions } from './check/options.js';
export type { CheckKind, CheckResult, CheckRow } from './check/results.js';
export { checkJunit } from './check/junit.js';
export { checkMarkdown } from './check/markdown.js';
export type { ReportOptions } from './report/options.js';
export { writeReport } from './report/report.js';
export { readRun, type Run } from './report/run.js';
export { runSnapshot, watchRun, type WatchOptions } from './report/watch/watchRun.js';
export type { KnnSnapshot, RunSnapshot } from './report/watch/snapshot.js';
export type { History, Measurement } from './report/history.js';
export type { BestMeasurements } from './report/bestMeasurements.js';
export type { EpochMean } from './report/epochMeans.js';
export { summaryTable } from './report/table.js';
export { listRuns, type ListedRun, type RunList } from './report/runList/listRuns.js';
export type { BestAccuracy, RunState, RunSummary } from './report/runList/runSummary.js';

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
export {
  doctor,
  type CachedDataset,
  type DoctorOptions,
  type DoctorReport,
  type MpiReport,
} from './doctor/doctor.js';
export type { EngineReport, ProviderReport } from './doctor/engineReports.js';
export type { BlockedKernels } from './engines/nchwcProbe.js';
