//! What a run changes in a workflow from outside: params and the logical date.

use crate::source::Source;

/// Applied in order: the files first, then the single values.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--set a.b=value`: the dotted name of a param and the text of its value.
    pub sets: Vec<(String, String)>,
    /// `--params file.yaml`: maps laid over `params`, later ones over earlier ones.
    pub params_files: Vec<Source>,
    /// `--date`: what `schedule.date` stands for.
    pub date: Option<jiff::civil::Date>,
}
