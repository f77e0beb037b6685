//! Stages on their way to a workflow: what is known of them before they are wired.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use supermoe_plugin::catalog::PluginEntry;

use crate::arguments::Arguments;
use crate::document::StageNode;
use crate::environment::Variables;
use crate::expand::Matrix;
use crate::settings;

/// One stage with its cells.
pub(crate) struct StageDraft<'n, 's> {
    pub node: StageNode<'n, 's>,
    /// None: `uses` names none, which is reported.
    pub plugin: Option<Arc<PluginEntry>>,
    /// None: the matrix is wrong, which is reported; nothing is wired to the stage.
    pub matrix: Option<Matrix>,
    /// The number of the stage's first cell.
    pub first_cell: usize,
    pub cells: Vec<CellDraft>,
    pub secrets: Vec<String>,
}

/// One cell. What is none is wrong and reported.
pub(crate) struct CellDraft {
    pub arguments: Option<Arguments>,
    pub settings: Option<settings::Resolved>,
    pub env: Variables,
    /// `when`: false leaves the cell out.
    pub active: bool,
    pub publish: BTreeMap<String, PathBuf>,
}
