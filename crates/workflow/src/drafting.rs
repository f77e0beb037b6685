//! Drafts of all stages. Of many stages the second half is drafted on a thread of its own.

use std::thread;

use crate::codes::Code;
use crate::diagnostics::Diagnostics;
use crate::document::StageNode;
use crate::draft::StageDraft;
use crate::draft_stage::{Gathered, Shared};
use crate::session::{Reported, Session};

/// The most cells of one workflow.
const MAX_CELLS: usize = 100_000;
/// From so many stages on a thread costs less than it gains.
const MANY_STAGES: usize = 100;

/// Drafts the stages in order. Mistakes are reported; the error says that there is no use in
/// looking further.
pub(crate) fn draft_all<'n, 's>(
    session: &mut Session<'_>,
    shared: &Shared<'_, 'n, 's>,
    mut stages: Vec<StageNode<'n, 's>>,
    gathered: &mut Gathered,
) -> Result<Vec<StageDraft<'n, 's>>, Reported> {
    let mut drafts = Vec::with_capacity(stages.len());
    if stages.len() < MANY_STAGES {
        draft(session, shared, stages, gathered, &mut drafts)?;
        return Ok(drafts);
    }
    let rest = stages.split_off(stages.len() / 2);
    let beside = Beside::of(session);
    let (drafted, beside) = thread::scope(|scope| {
        let beside = scope.spawn(|| beside.draft(shared, rest));
        let drafted = draft(session, shared, stages, gathered, &mut drafts);
        (drafted, beside.join())
    });
    let Drafted {
        drafts: others,
        undrafted,
        gathered: found,
    } = beside.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    drafted?;
    if undrafted.is_empty() {
        let first_cell = next_cell(&drafts);
        gathered.published.extend(found.published);
        drafts.extend(others.into_iter().map(|other| StageDraft {
            first_cell: first_cell + other.first_cell,
            ..other
        }));
        check_count(session, &drafts)?;
    } else {
        // Something is to be said of them: that is done in order.
        let again = others.into_iter().map(|other| other.node).chain(undrafted);
        draft(session, shared, again.collect(), gathered, &mut drafts)?;
    }
    Ok(drafts)
}

fn draft<'n, 's>(
    session: &mut Session<'_>,
    shared: &Shared<'_, 'n, 's>,
    stages: Vec<StageNode<'n, 's>>,
    gathered: &mut Gathered,
    drafts: &mut Vec<StageDraft<'n, 's>>,
) -> Result<(), Reported> {
    for node in stages {
        let draft = shared.draft(session, node, next_cell(drafts), gathered);
        drafts.push(draft);
        check_count(session, drafts)?;
        if session.has_enough() {
            return Err(Reported);
        }
    }
    Ok(())
}

fn next_cell(drafts: &[StageDraft<'_, '_>]) -> usize {
    drafts
        .last()
        .map_or(0, |draft| draft.first_cell + draft.cells.len())
}

fn check_count(session: &mut Session<'_>, drafts: &[StageDraft<'_, '_>]) -> Result<(), Reported> {
    if next_cell(drafts) <= MAX_CELLS {
        return Ok(());
    }
    let full = drafts.partition_point(|draft| draft.first_cell + draft.cells.len() <= MAX_CELLS);
    let Some(draft) = drafts.get(full) else {
        return Ok(());
    };
    let message = format!("the stages of this workflow have more than {MAX_CELLS} cells");
    Err(session.error(
        Code::TooManyCells,
        draft.node.name_span,
        message,
        "too many with this stage",
        "Take values from the matrices.",
    ))
}

/// What the other thread sees of the session.
struct Beside<'a> {
    session: Session<'a>,
}

/// Stages that were drafted without a word, and those from the first on of which something is to
/// be said.
struct Drafted<'n, 's> {
    drafts: Vec<StageDraft<'n, 's>>,
    undrafted: Vec<StageNode<'n, 's>>,
    gathered: Gathered,
}

impl<'a> Beside<'a> {
    fn of(session: &Session<'a>) -> Beside<'a> {
        Beside {
            session: Session {
                source: session.source,
                catalog: session.catalog,
                environment: session.environment,
                errors: Diagnostics::errors(),
                warnings: Diagnostics::warnings(),
            },
        }
    }

    fn draft<'n, 's>(
        mut self,
        shared: &Shared<'_, 'n, 's>,
        stages: Vec<StageNode<'n, 's>>,
    ) -> Drafted<'n, 's> {
        let mut drafted = Drafted {
            drafts: Vec::with_capacity(stages.len()),
            undrafted: Vec::new(),
            gathered: Gathered::default(),
        };
        let mut stages = stages.into_iter();
        for node in stages.by_ref() {
            let first_cell = next_cell(&drafted.drafts);
            let draft = shared.draft(&mut self.session, node, first_cell, &mut drafted.gathered);
            if !(self.session.errors.is_empty() && self.session.warnings.is_empty()) {
                drafted.undrafted.push(draft.node);
                break;
            }
            drafted.drafts.push(draft);
        }
        drafted.undrafted.extend(stages);
        drafted
    }
}
