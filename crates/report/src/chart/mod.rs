//! Pictures for the page, drawn as SVG: colours come from its style sheet, so that they follow
//! light and dark.

pub(crate) mod heat_map;
pub(crate) mod line_chart;
mod plot;
pub(crate) mod range_bar;
pub(crate) mod scale;
pub(crate) mod stage_graph;
