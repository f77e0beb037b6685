//! Why there is no comparison, and what to do about it.

use supermoe_plugin::listed::first_of;
use supermoe_plugin::params::nearest;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ComparisonError {
    #[error("there are no metrics in what was evaluated")]
    Nothing,
    #[error("no task was evaluated class by class")]
    NoClasses,
    #[error("{option}: there is no axis `{axis}`")]
    UnknownAxis {
        option: &'static str,
        axis: String,
        known: Vec<String>,
    },
    #[error("the axis `{axis}` is asked for twice, in {first} and in {second}")]
    AxisTwice {
        axis: String,
        first: &'static str,
        second: &'static str,
    },
    /// What values are of is no repetition of them.
    #[error("--over: no mean is taken over `{axis}` in this way")]
    NotOver { axis: String },
    #[error("--where: no row has {axis}={level}")]
    UnknownLevel {
        axis: String,
        level: String,
        known: Vec<String>,
    },
    #[error("--metric: nothing was measured by `{metric}`")]
    UnknownMetric { metric: String, known: Vec<String> },
    #[error("--metric: {} cannot share a cell of the table", metrics.join(", "))]
    SeveralMetrics { metrics: Vec<String> },
    #[error(
        "one cell of the table, {slot}, would hold several values ({}): they differ in {}",
        values.join(", "),
        differing.iter().map(|(axis, levels)| format!("{axis} ({})", levels.join(", "))).collect::<Vec<_>>().join(" and in ")
    )]
    Ambiguous {
        slot: String,
        values: Vec<String>,
        /// Axes that would tell them apart, with their levels.
        differing: Vec<(String, Vec<String>)>,
        over: String,
    },
    #[error("{metric} is in the unit of its task: it has no mean over the tasks {}", tasks.join(", "))]
    NoMean { metric: String, tasks: Vec<String> },
    #[error(
        "rows {first} and {second} cannot stand in one table: task `{task}`: the second has {difference}"
    )]
    NotComparable {
        first: String,
        second: String,
        task: String,
        difference: String,
    },
    #[error(
        "rows {first} and {second} cannot stand in one table: task `{task}`: {untold} does not tell its test split and \
         labels (`split_digest`, `labels_digest`)"
    )]
    UntoldTestSet {
        first: String,
        second: String,
        task: String,
        /// The evaluation that says nothing.
        untold: String,
    },
    /// An axis that there is, and that makes no row of this table.
    #[error(
        "--against: `{axis}` makes no rows of this table, which are made by {}",
        listed(rows)
    )]
    NoRowAxis { axis: String, rows: Vec<String> },
    #[error("--against: {wanted} names no row")]
    NoBaseline { wanted: String, known: Vec<String> },
    #[error("--against: {wanted} names {} rows: {}", rows.len(), listed(rows))]
    ManyBaselines { wanted: String, rows: Vec<String> },
}

impl ComparisonError {
    /// What the user can do.
    pub fn help(&self) -> String {
        match self {
            ComparisonError::Nothing => {
                "Evaluate predictions of a task with labels in the test split".to_owned()
            }
            ComparisonError::NoClasses => {
                "Leave `class` out: multiclass tasks alone have it".to_owned()
            }
            ComparisonError::UnknownAxis {
                option,
                axis,
                known,
            } => match *option {
                "--against" => format!(
                    "{}. A comma within a value is written `\\,`",
                    one_of("axes", axis, known)
                ),
                _ => one_of("axes", axis, known),
            },
            ComparisonError::NoRowAxis { axis, .. } => format!(
                "Put `{axis}` into --rows. Without --rows, axes in which nothing differs make none: there is nothing to \
                 compare along them"
            ),
            ComparisonError::AxisTwice { axis, .. } => {
                format!("Name `{axis}` in one of --rows, --columns and --over")
            }
            ComparisonError::NotOver { axis } => format!(
                "Leave it out: where `task` makes neither rows nor columns, cells are the mean over tasks, as with \
                 --columns metric. Or choose one with --where {axis}=…"
            ),
            ComparisonError::UnknownLevel { axis, level, known } => {
                one_of(&format!("values of `{axis}`"), level, known)
            }
            ComparisonError::UnknownMetric { metric, known } => one_of("metrics", metric, known),
            ComparisonError::SeveralMetrics { .. } => {
                "Name one metric, or give each a column: --columns metric".to_owned()
            }
            ComparisonError::Ambiguous {
                differing, over, ..
            } => match differing.first() {
                Some((axis, levels)) => format!(
                    "Put `{axis}` into --rows or --columns, choose one with --where {axis}={}, or take the mean over \
                     it too: --over {over}{axis}",
                    levels.first().map_or("VALUE", String::as_str)
                ),
                None => "Compare fewer runs".to_owned(),
            },
            ComparisonError::NoMean { tasks, .. } => format!(
                "Put `task` into --rows or --columns, or choose one: --where task={}",
                tasks.first().map_or("NAME", String::as_str)
            ),
            ComparisonError::NotComparable { .. } => "Evaluate both with this program on one dataset, best in one \
                stage of one workflow; what did not change is not trained again. Or leave one out with --where, as \
                in --where run=… or --where evaluation=…"
                .to_owned(),
            ComparisonError::UntoldTestSet { .. } => "Run its workflow again: what an older program evaluated is \
                evaluated anew, and nothing is trained again. Or show one evaluation with --where evaluation=…"
                .to_owned(),
            ComparisonError::NoBaseline { wanted, known } => one_of("rows", wanted, known),
            ComparisonError::ManyBaselines { .. } => {
                "Name more of the row's axes, with commas between: --against model=supermoe,layers=2"
                    .to_owned()
            }
        }
    }
}

/// The nearest right name, and all that there are.
fn one_of(what: &str, wrong: &str, known: &[String]) -> String {
    let near = nearest(wrong, known.iter().map(String::as_str));
    let advice = near.map_or_else(String::new, |near| format!("Did you mean `{near}`? "));
    format!("{advice}The {what} are {}", listed(known))
}

fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    first_of(&quoted, MOST)
}
