//! Tables of a run, made from its journal: what became of each stage, and its metrics.
//!
//! Plain text without colour, for a terminal of some width or as Markdown; JSON by serde.

mod metric_table;
mod summary;
mod text_table;
mod time_text;

pub use metric_table::{MetricRow, MetricTable, metric_tables};
pub use summary::{SummaryRow, summary, summary_rows};
pub use text_table::Layout;
