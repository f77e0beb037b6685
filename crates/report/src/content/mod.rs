//! What a report of a run says, read from its journal and from the artifacts that the journal names.

mod data_card;
mod evaluation;
mod gather;
mod lineage;
mod report;
mod training;

pub use data_card::{DataCard, DataChannel, DataSplit, DataTask, Lengths};
pub(crate) use evaluation::matrix_text;
pub use evaluation::{
    Curve, EvaluatedCell, EvaluatedGroup, EvaluatedTask, Evaluation, Summary, TaskKind,
};
pub use gather::{gather, has_results};
pub use lineage::{ReportedInput, ReportedOutput, ReportedStage};
pub use report::{Found, LeftOut, Problem, REPORT_VERSION, Report, RunFacts};
pub(crate) use training::{ExpertLoad, LayerLoad};
pub use training::{Series, Training};
