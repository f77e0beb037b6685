//! What a comparison is to show, as the user asks for it.

use std::fmt;

use supermoe_metrics::{Significance, SignificanceError, paired_t_test, wilcoxon_signed_rank};

/// The axis that repeats a cell rather than making it another.
pub(crate) const SEED: &str = "seed";

#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonRequest {
    /// Axes that make a row; empty: those that vary.
    pub rows: Vec<String>,
    /// Axes that make a column; empty: the task.
    pub columns: Vec<String>,
    /// Axes over which means are taken and pairs are made; empty: the seed, where there is one.
    pub over: Vec<String>,
    /// Empty: the AUC where there is one, else the first.
    pub metrics: Vec<String>,
    /// Axis and value, or values with commas between (`\,` is a comma of a value): what is left out is not
    /// compared.
    pub filters: Vec<(String, String)>,
    /// Axes and values of the row that others are compared with; empty: no test is made.
    pub against: Vec<(String, String)>,
    pub test: PairedTest,
    /// Decimals that are written; values that read the same are ties.
    pub digits: usize,
}

impl Default for ComparisonRequest {
    fn default() -> ComparisonRequest {
        ComparisonRequest {
            rows: Vec::new(),
            columns: Vec::new(),
            over: Vec::new(),
            metrics: Vec::new(),
            filters: Vec::new(),
            against: Vec::new(),
            test: PairedTest::default(),
            digits: 4,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PairedTest {
    #[default]
    StudentsT,
    WilcoxonSignedRank,
}

impl PairedTest {
    pub(crate) fn of(self, differences: &[f64]) -> Result<Significance, SignificanceError> {
        match self {
            PairedTest::StudentsT => paired_t_test(differences),
            PairedTest::WilcoxonSignedRank => wilcoxon_signed_rank(differences),
        }
    }
}

impl fmt::Display for PairedTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PairedTest::StudentsT => "paired t-test",
            PairedTest::WilcoxonSignedRank => "Wilcoxon signed-rank test",
        })
    }
}
