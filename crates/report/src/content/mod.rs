//! What a report of a run says, read from its journal and from the artifacts that the journal names.

mod certainty;
mod data_card;
mod evaluation;
mod experiment;
mod gather;
mod lineage;
mod report;
mod training;

pub use certainty::{
    ComparedRow, Comparisons, Difference, EvaluatedInterval, IntervalMethod, RowName, Segment,
    Segmentation, Uncertainty,
};
pub use data_card::{DataCard, DataChannel, DataSplit, DataTask, Lengths};
pub(crate) use evaluation::Metrics;
pub use evaluation::{
    Curve, EvaluatedCell, EvaluatedGroup, EvaluatedTask, Evaluation, Summary, TaskKind,
};
pub use experiment::{
    Bounds, Estimate, Experiment, ExperimentBucket, ExperimentMetric, Lift, SampleRatio,
};
pub(crate) use gather::read_evaluations;
pub use gather::{gather, has_results};
pub use lineage::{ReportedInput, ReportedOutput, ReportedStage};
pub use report::{Found, LeftOut, Problem, REPORT_VERSION, Report, RunFacts};
pub(crate) use training::LayerLoad;
pub use training::{Series, Training};
