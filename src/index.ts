/** The public API of slimclr. */
export { SlimclrError, UsageError } from './errors.js';
export { version } from './version.js';

// Configuration
export { formatConfig } from './config/format.js';
export { loadConfig, parseConfig, type ConfigSources } from './config/load.js';
export { presets, type Preset, type PresetName } from './config/presets.js';
export { configSchema, type Config, type ConfigInput } from './config/schema.js';

// Images
export { datasetNames, fetchDataset, type DatasetInfo, type FetchOptions } from './data/dataset.js';
export { openSource, type ImageSource, type SourceOptions } from './data/source.js';
export { describeSource, type SourceDescription } from './data/sourceDescription.js';

// Pre-training
export { pretrain, type PretrainOptions } from './training/pretrain.js';
export {
  latestCheckpoint,
  listCheckpoints,
  readCheckpoint,
  type Checkpoint,
  type CheckpointEntry,
} from './training/checkpoint.js';
export type { LoggedEvent, TrainingEvent, WidthLoss } from './training/events.js';

// Evaluation, export, report
export { evaluateKnn, type KnnOptions } from './evaluation/evaluateKnn.js';
export { evaluateProbe, type ProbeOptions } from './evaluation/evaluateProbe.js';
export { evaluateFinetune, type FinetuneOptions } from './evaluation/evaluateFinetune.js';
export { diagnose, type DiagnoseOptions } from './evaluation/diagnose.js';
export type {
  Accuracy,
  DiagnosticsResult,
  ExportResult,
  FinetuneResult,
  KnnResult,
  ProbeProtocol,
  ProbeResult,
  WidthAccuracy,
} from './evaluation/results.js';
export { exportRun, type ExportOptions } from './export/exportRun.js';
export type { ReportOptions } from './report/options.js';
export { writeReport } from './report/report.js';
export { readRun, type Run } from './report/run.js';
export { summaryTable } from './report/table.js';

// Ablation
export { ablate, type AblateOptions, type PlannedRun } from './ablation/ablate.js';
export type {
  AblationEvaluation,
  AblationFailure,
  AblationResult,
  AblationRun,
  Spread,
  VariantSummary,
} from './ablation/results.js';
export { defaultTable, readTable, type AblationTable } from './ablation/variants.js';

// Training graphs: the files, and the builder they are made with
export { buildPrograms, emitMethod } from './methods/index.js';
export type { EmittedProgram, EmittedPrograms } from './programs/folder.js';
export type { Manifest } from './programs/manifest.js';
export { readManifest } from './runtime/programs.js';
export { gradients } from './autodiff.js';
export { Graph, Value, type Node } from './graph/graph.js';
export { Builder } from './ops/builder.js';
export { emit, type EmitOptions } from './targets/emit.js';
export { targets } from './targets/index.js';
export { lower } from './targets/lower.js';
export type { Target } from './targets/target.js';
export { decodeModel, encodeModel, type OnnxModel } from './onnx/model.js';
export { modelText } from './onnx/text.js';
export { diffModels, type ModelDifference } from './onnx/diff.js';

// This machine
export { doctor, type DoctorReport } from './runtime/doctor.js';
