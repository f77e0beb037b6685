//! Checked drafts to a workflow.

use petgraph::graph::DiGraph;

use crate::cell::{Cell, CellId, SkipReason};
use crate::draft::StageDraft;
use crate::resolve::Params;
use crate::schedule::Schedule;
use crate::source::{PlaceIndex, Places, Source};
use crate::wiring::Wires;
use crate::workflow::{Edge, Workflow};

/// Puts a workflow together from parts that hold no mistake.
#[expect(clippy::too_many_arguments, reason = "the parts of a workflow")]
pub(crate) fn assemble(
    source: &Source,
    name: String,
    params: Params,
    store: Option<String>,
    schedule: Option<Schedule>,
    secrets: Vec<String>,
    drafts: Vec<StageDraft<'_, '_>>,
    wires: Vec<Wires>,
    graph: DiGraph<CellId, Edge>,
) -> Workflow {
    let index = PlaceIndex::new(source.clone());
    let stages = drafts.iter().map(|draft| draft.node.name.clone()).collect();
    let mut cells = Vec::with_capacity(wires.len());
    let mut wires = wires.into_iter();
    for draft in drafts {
        let (Some(matrix), Some(plugin)) = (draft.matrix, draft.plugin) else {
            continue;
        };
        let base_plugin = std::sync::Arc::<str>::from(plugin.name());
        for (cell, cell_draft) in matrix.cells.into_iter().zip(draft.cells) {
            let wires = wires.next().unwrap_or_default();
            let (Some(arguments), Some(settings)) = (cell_draft.arguments, cell_draft.settings)
            else {
                continue;
            };
            cells.push(Cell {
                id: CellId(cells.len()),
                stage: draft.node.name.clone(),
                matrix: cell.values,
                label: cell.label,
                plugin: arguments.plugin,
                base_plugin: base_plugin.clone(),
                variant: arguments.variant,
                params: arguments.params,
                explicit_params: arguments.explicit,
                run_fields: arguments.run_fields,
                places: Places::new(index.clone(), draft.node.name.clone()),
                command_values: arguments.command_values,
                outputs: arguments.outputs,
                inputs: wires.inputs,
                needs: wires.needs,
                skip: (!cell_draft.active).then_some(SkipReason::When),
                retry: settings.retry,
                timeout: settings.timeout,
                resources: settings.resources,
                env: cell_draft
                    .env
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
                    .collect(),
                secrets: draft.secrets.clone(),
                cache: settings.cache,
                publish: cell_draft.publish,
                max_parallel: matrix.max_parallel,
            });
        }
    }
    Workflow {
        name,
        source: source.clone(),
        params: params.values,
        store,
        schedule,
        secrets,
        stages,
        cells,
        graph,
    }
}
