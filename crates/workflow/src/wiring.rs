//! Inputs and `needs`, wired to the cells of other stages and to what lies outside.

use std::cell::Cell;
use std::collections::HashMap;

use indexmap::IndexMap;
use supermoe_plugin::manifest::InputPort;

use crate::cell::{CellId, CellInput};
use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::draft::{CellDraft, StageDraft};
use crate::expand::{Matrix, MatrixCell};
use crate::external::Files;
use crate::input_port::{article, missing, port, span_of, texts};
use crate::join::Join;
use crate::nearest;
use crate::node::{Entry, Kind, Node};
use crate::scope::{EnvNames, MatrixNames, Scope};
use crate::session::{Reported, Session};
use crate::source::Span;
use crate::wire::Found;
use crate::workflow::Edge;

/// How many wrong names of stages are searched for among more than a hundred right ones.
const MAX_SEARCHES: u32 = 20;
/// The most wires between cells of one workflow.
const MAX_WIRES: usize = 1_000_000;

/// What one cell gets and waits for.
#[derive(Debug, Default)]
pub(crate) struct Wires {
    pub inputs: IndexMap<String, Vec<CellInput>>,
    pub needs: Vec<CellId>,
    /// Every cell that it waits for, why, and where that is written.
    pub upstream: Vec<(CellId, Edge, Span)>,
}

/// All stages by name, and those that could not be read.
pub(crate) struct Stages<'d, 'n, 's> {
    pub drafts: &'d [StageDraft<'n, 's>],
    pub by_name: HashMap<&'d str, usize>,
    pub unreadable: &'d [String],
    /// In a file with thousands of stages not every mistake is worth a search through all names.
    searches_left: Cell<u32>,
}

impl<'d, 'n, 's> Stages<'d, 'n, 's> {
    pub fn new(drafts: &'d [StageDraft<'n, 's>], unreadable: &'d [String]) -> Self {
        let by_name = drafts
            .iter()
            .enumerate()
            .map(|(at, draft)| (draft.node.name.as_str(), at))
            .collect();
        Stages {
            drafts,
            by_name,
            unreadable,
            searches_left: Cell::new(MAX_SEARCHES),
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.drafts.iter().map(|draft| draft.node.name.as_str())
    }

    /// The stage whose name is nearest to a wrong one.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        if self.drafts.len() > 100 {
            let left = self.searches_left.get().checked_sub(1)?;
            self.searches_left.set(left);
        }
        nearest::nearest(name, self.names())
    }
}

/// Wires the cells of all stages.
pub(crate) struct Wiring<'d, 'n, 's> {
    pub stages: Stages<'d, 'n, 's>,
    pub files: Files,
    /// Wires between cells so far.
    pub wires: usize,
}

/// The stage whose inputs are wired.
pub(crate) struct Here<'d, 'n, 's> {
    pub draft: &'d StageDraft<'n, 's>,
    pub matrix: &'d Matrix,
    pub joins: HashMap<usize, Join>,
}

/// The cell whose inputs are wired.
pub(crate) struct Place<'a> {
    pub draft: &'a CellDraft,
    pub cell: &'a MatrixCell,
    pub scope: Scope<'a>,
}

/// One input port at one cell.
pub(crate) struct Port<'a> {
    pub name: &'a str,
    pub spec: &'a InputPort,
    /// Where the text of the input stands.
    pub span: Span,
}

impl<'d, 'n, 's> Wiring<'d, 'n, 's> {
    pub fn new(stages: Stages<'d, 'n, 's>, files: Files) -> Self {
        Wiring {
            stages,
            files,
            wires: 0,
        }
    }

    /// Whether there are too many wires already, which is reported.
    pub fn is_full(&self) -> bool {
        self.wires > MAX_WIRES
    }

    /// The wires of all cells of a stage, in order; none where its matrix or plugin is wrong.
    /// `base` holds what is the same for all cells.
    pub fn stage(
        &mut self,
        session: &mut Session<'_>,
        draft: &'d StageDraft<'n, 's>,
        base: Scope<'_>,
    ) -> Result<Vec<Wires>, Reported> {
        let (Some(matrix), Some(plugin)) = (&draft.matrix, &draft.plugin) else {
            return Err(Reported);
        };
        let mut here = Here {
            draft,
            matrix,
            joins: HashMap::new(),
        };
        let entries: &[Entry<'_>] = match draft.node.inputs.map(|node| (node, &node.kind)) {
            None | Some((_, Kind::Null)) => &[],
            Some((_, Kind::Map(entries))) => entries,
            Some((node, _)) => {
                return Err(session.wrong_kind(
                    node,
                    &format!("`inputs` of `{}`", draft.node.name),
                    "a map from port to stage.port, ./path or ref:name",
                ));
            }
        };
        let mut wires = Vec::with_capacity(matrix.cells.len());
        let before = session.errors.pushed();
        for (cell, cell_draft) in matrix.cells.iter().zip(&draft.cells) {
            let names = MatrixNames::Cell {
                axes: &matrix.axes,
                values: &cell.values,
                digits: &cell.digits,
            };
            let scope = Scope {
                place: "`inputs`",
                matrix: names,
                env: EnvNames::Declared(&cell_draft.env),
                ..base
            };
            let place = Place {
                draft: cell_draft,
                cell,
                scope,
            };
            // Where the variant is unknown, the base plugin's ports are the best guess.
            let manifest = cell_draft
                .arguments
                .as_ref()
                .map_or(&plugin.manifest, |arguments| &arguments.plugin.manifest);
            let mut found = Wires::default();
            for entry in entries {
                let Ok(spec) = port(session, &here, manifest, entry) else {
                    continue;
                };
                let inputs =
                    self.input(session, &mut here, &place, entry, spec, &mut found.upstream);
                if let Ok(inputs) = inputs
                    && !inputs.is_empty()
                {
                    found.inputs.insert(entry.key.clone().into_owned(), inputs);
                }
            }
            missing(session, &here, manifest, entries);
            // `needs` is the same for cells with the same values; mistakes are reported once.
            if let Some(node) = draft.node.needs
                && let Ok(needs) = self.needs(session, &mut here, &place, node, &mut found.upstream)
            {
                found.needs = needs;
            }
            if self.is_full() {
                let message = format!(
                    "the wires between the cells of this workflow are more than {MAX_WIRES}"
                );
                let help = "Join cells on shared axes, or gather them in fewer stages.";
                return Err(session.error(
                    Code::TooManyWires,
                    draft.node.name_span,
                    message,
                    "too many with this stage",
                    help,
                ));
            }
            wires.push(found);
            if session.has_enough_of_stage(before) {
                return Err(Reported);
            }
        }
        Ok(wires)
    }

    fn input(
        &mut self,
        session: &mut Session<'_>,
        here: &mut Here<'d, 'n, 's>,
        place: &Place<'_>,
        entry: &Entry<'_>,
        spec: &InputPort,
        upstream: &mut Vec<(CellId, Edge, Span)>,
    ) -> Result<Vec<CellInput>, Reported> {
        let port = entry.key.as_ref();
        let texts = texts(session, here, place, entry)?;
        if texts.len() > 1 && !spec.many {
            let message = format!(
                "the input `{port}` of `{}` takes one artifact, found a list of {}",
                here.draft.node.name,
                texts.len()
            );
            return Err(session.error(
                Code::OneArtifact,
                entry.value.span,
                message,
                "a list",
                "Give one value.",
            ));
        }
        let mut inputs = Vec::new();
        let mut absent: Option<Diagnostic> = None;
        let mut wrong = false;
        for (text, span) in &texts {
            let port = Port {
                name: port,
                spec,
                span: *span,
            };
            match self.one(session, here, place, &port, text, upstream) {
                Ok(Found::Inputs(found)) => inputs.extend(found),
                Ok(Found::Absent(why)) => drop(absent.get_or_insert(*why)),
                Err(Reported) => wrong = true,
            }
        }
        if wrong {
            return Err(Reported);
        }
        if inputs.is_empty() && spec.required && place.draft.active {
            return Err(match absent {
                Some(why) => session.report(why),
                None => {
                    let message = format!(
                        "the input `{port}` of `{}` is required, and is given nothing",
                        place.cell.label
                    );
                    session.error(
                        Code::AbsentInput,
                        span_of(entry),
                        message,
                        "gives nothing",
                        format!("Give {}.", article(spec.port_type)),
                    )
                }
            });
        }
        Ok(inputs)
    }

    fn needs(
        &mut self,
        session: &mut Session<'_>,
        here: &mut Here<'d, 'n, 's>,
        place: &Place<'_>,
        node: &Node<'_>,
        upstream: &mut Vec<(CellId, Edge, Span)>,
    ) -> Result<Vec<CellId>, Reported> {
        let what = format!("`needs` of `{}`", here.draft.node.name);
        let items: &[Node<'_>] = match &node.kind {
            Kind::List(items) => items,
            Kind::Text(_) => std::slice::from_ref(node),
            Kind::Null => &[],
            _ => {
                return Err(session.wrong_kind(
                    node,
                    &what,
                    "the name of a stage, or a list of names",
                ));
            }
        };
        let mut needs = Vec::new();
        for item in items {
            let Kind::Text(name) = &item.kind else {
                session.wrong_kind(item, &format!("an item of {what}"), "the name of a stage");
                continue;
            };
            let Some(&at) = self.stages.by_name.get(name.as_ref()) else {
                if !self
                    .stages
                    .unreadable
                    .iter()
                    .any(|other| other == name.as_ref())
                {
                    let stage = name.split('.').next().unwrap_or_default();
                    let help = if self.stages.by_name.contains_key(stage) {
                        format!(
                            "`needs` names stages: write `{stage}`. A port is wired under `inputs`."
                        )
                    } else {
                        match self.stages.nearest(name) {
                            Some(near) => format!("Did you mean `{near}`?"),
                            None => {
                                nearest::listed("stage", &self.stages.names().collect::<Vec<_>>())
                            }
                        }
                    };
                    session.error(
                        Code::UnknownStage,
                        item.span,
                        format!("{what} names the stage `{name}`, which does not exist"),
                        "no such stage",
                        help,
                    );
                }
                continue;
            };
            let from = &self.stages.drafts[at];
            let Some(matrix) = &from.matrix else { continue };
            let join = here
                .joins
                .entry(at)
                .or_insert_with(|| Join::new(matrix, here.matrix));
            let cells = join.of(place.cell);
            self.wires += cells.len();
            for number in cells {
                let id = CellId(from.first_cell + number);
                if !needs.contains(&id) || cells.len() > 16 {
                    needs.push(id);
                }
                upstream.push((id, Edge::Needs, item.span));
            }
        }
        needs.sort_unstable();
        needs.dedup();
        Ok(needs)
    }
}
