//! The border to the orchestrator: manifest, request, metrics.

use supermoe_plugin::event::LogLevel;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::request::InputArtifact;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest};
use supermoe_trainer::History;
use supermoe_trainer::choice::{Candidate, CandidateCell, Choice};

use crate::candidate::{CellOfCandidate, is_asked_for, name_of, none_has, params_of};
use crate::error::SelectError;
use crate::history_metric::best;
use crate::params::SelectParams;
use crate::ranking::ranked;

/// Raised when the choice of the same candidates changes.
pub const REVISION: &str = "1";

/// The plugin `select`: `candidates` -> `choice`.
pub fn plugin() -> BuiltIn {
    let manifest = manifest("select")
        .description("Chooses the params of the best training, by a metric of the validation split")
        .version(env!("CARGO_PKG_VERSION"))
        .revision(REVISION)
        .many_inputs("candidates", PortType::File)
        .describe(
            "candidates",
            "The histories of all cells of a training stage with a matrix (stage.*.history)",
        )
        .output("choice", PortType::Choice)
        .describe(
            "choice",
            "choice.json: the best params, for the input `choice` of `pretrain` and `finetune`, and all candidates",
        )
        .params::<SelectParams>()
        .build();
    BuiltIn::new(manifest, run)
}

fn run(context: &mut Context) -> Result<(), PluginError> {
    let params: SelectParams = context.params()?;
    params.check()?;
    let cells = cells(context.inputs("candidates"), &params)?;
    let candidates = ranked(cells, params.goal);
    for candidate in &candidates {
        context.log(LogLevel::Info, line(candidate, &params.metric));
    }
    if let Some(best) = candidates.first() {
        context.metric(&params.metric, best.value, None);
    }
    let choice = Choice::of(&params.metric, params.goal, candidates);
    Ok(choice.write(context.output("choice")?)?)
}

/// Those of the candidates that are asked for, in the order of the workflow; at least one.
fn cells(
    artifacts: &[InputArtifact],
    params: &SelectParams,
) -> Result<Vec<CellOfCandidate>, SelectError> {
    let mut cells = Vec::new();
    for InputArtifact { path, matrix, .. } in artifacts {
        if !is_asked_for(matrix, &params.only)? {
            continue;
        }
        let cell = || name_of(matrix);
        let history = History::read(path).map_err(|source| SelectError::Io {
            cell: cell(),
            path: path.clone(),
            source,
        })?;
        let (value, epoch) = best(&history, &params.metric, params.goal).map_err(|reason| {
            SelectError::Candidate {
                cell: cell(),
                reason,
            }
        })?;
        cells.push(CellOfCandidate {
            params: params_of(matrix, params)?,
            cell: CandidateCell {
                matrix: matrix.clone(),
                value,
                epoch,
            },
        });
    }
    if cells.is_empty() {
        let all: Vec<_> = artifacts.iter().map(|artifact| &artifact.matrix).collect();
        return Err(none_has(&params.only, &all));
    }
    Ok(cells)
}

fn line(candidate: &Candidate, metric: &str) -> String {
    let params = name_of(&candidate.params);
    let cells = match candidate.cells.len() {
        1 => String::new(),
        several => format!(", mean of {several} cells"),
    };
    format!("{params}: {metric} {:.6}{cells}", candidate.value)
}
