//! A run as people read it: tables of what became of each stage and of its metrics, made from the
//! journal, and a report made from the journal and the artifacts that it names.
//!
//! The tables are plain text without colour, for a terminal of some width or as Markdown. A
//! [`Report`] is JSON by serde, [`markdown`], or one self-contained HTML [`page`].

mod chart;
mod comparison;
mod content;
mod markdown;
mod metric_name;
mod metric_table;
mod page;
mod summary;
mod text_table;
mod time_text;

pub use comparison::*;
pub use content::*;
pub use markdown::markdown;
pub use metric_table::{MetricRow, MetricTable, metric_tables};
pub use page::page;
pub use summary::{SummaryRow, summary, summary_rows};
pub use text_table::Layout;
