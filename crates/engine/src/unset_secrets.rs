//! Secrets that stages about to run need and the environment does not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use supermoe_store::Store;
use supermoe_workflow::Workflow;

use crate::plan::{Plan, PlannedState, plan};
use crate::run::EngineError;
use crate::run_options::{PlanOptions, RunOptions};
use crate::selection::Role;

/// A secret without a value, and who needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsetSecret {
    /// The environment variable.
    pub name: String,
    /// Stages that will run, or may, each once.
    pub stages: Vec<String>,
}

/// The unset secrets of what a plan runs, or may run, by name. Empty values are values.
pub fn unset_secrets(
    workflow: &Workflow,
    plan: &Plan,
    is_set: impl Fn(&str) -> bool,
) -> Vec<UnsetSecret> {
    let mut unset: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for planned in &plan.cells {
        if !matches!(planned.state, PlannedState::Run | PlannedState::Unknown) {
            continue;
        }
        let cell = workflow.cell(planned.id);
        for name in cell.secrets.iter().filter(|name| !is_set(name)) {
            let stages = unset.entry(name).or_default();
            if stages.last().is_none_or(|last| last != cell.stage.as_str()) {
                stages.push(cell.stage.as_str().to_owned());
            }
        }
    }
    unset
        .into_iter()
        .map(|(name, stages)| UnsetSecret {
            name: name.to_owned(),
            stages,
        })
        .collect()
}

/// Fails where a stage that is not cached could not get a secret. Plans only if one is unset.
pub(crate) async fn check_secrets(
    workflow: &Workflow,
    roles: &[Role],
    store: &Store,
    options: &RunOptions,
) -> Result<(), EngineError> {
    let is_set = |name: &str| options.environment.contains_key(&OsString::from(name));
    let declared: BTreeSet<&String> = workflow
        .cells
        .iter()
        .filter(|cell| roles[cell.id.index()].is_selected() && cell.skip.is_none())
        .flat_map(|cell| &cell.secrets)
        .collect();
    if declared.into_iter().all(|name| is_set(name)) {
        return Ok(());
    }
    let plan_options = PlanOptions {
        selection: options.selection.clone(),
    };
    let planned = plan(workflow, store, &plan_options).await?;
    match unset_secrets(workflow, &planned, is_set) {
        unset if unset.is_empty() => Ok(()),
        unset => Err(EngineError::UnsetSecrets(unset)),
    }
}
