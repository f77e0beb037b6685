//! One wire: from the text of an input to the artifacts that it stands for.

use indexmap::IndexMap;
use supermoe_plugin::ports::PortType;

use crate::cell::{CellId, CellInput, InputSource};
use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::draft::{CellDraft, StageDraft};
use crate::external::{self, Target};
use crate::input_port::article;
use crate::input_text::{InputText, is_file_ending, url_with_one_slash};
use crate::join::Join;
use crate::nearest;
use crate::node::quoted;
use crate::port_mistakes::{axis_only_upstream, port_type};
use crate::session::{Reported, Session};
use crate::source::Span;
use crate::wiring::{Here, Place, Port, Wiring};
use crate::workflow::Edge;

pub(crate) enum Found {
    Inputs(Vec<CellInput>),
    /// Nothing is there, which is a mistake where the port is required.
    Absent(Box<Diagnostic>),
}

impl<'d, 'n, 's> Wiring<'d, 'n, 's> {
    pub fn one(
        &mut self,
        session: &mut Session<'_>,
        here: &mut Here<'d, 'n, 's>,
        place: &Place<'_>,
        port: &Port<'_>,
        text: &str,
        upstream: &mut Vec<(CellId, Edge, Span)>,
    ) -> Result<Found, Reported> {
        let stage = here.draft.node.name.as_str();
        let target = Target {
            span: port.span,
            port: port.name,
            stage,
            port_type: port.spec.port_type,
        };
        let found = match InputText::read(text) {
            InputText::Output {
                stage,
                port: output,
                all,
            } => {
                let Some(at) = self.find(session, here, port, text, stage, output)? else {
                    return Err(Reported);
                };
                return self.outputs(session, here, place, port, at, output, all, upstream);
            }
            InputText::Path(path) => self.files.path(session, path, target)?,
            InputText::Url(url) => external::url(session, url, target)?,
            InputText::Ref(name) => external::reference(session, name, target)?,
            InputText::Word(word) if self.stages.by_name.contains_key(word) => {
                let at = self.stages.by_name[word];
                let ports = self.output_names(at);
                let message = format!(
                    "the input `{}` of `{stage}` names the stage `{word}` without a port",
                    port.name
                );
                let help = ports.first().map_or_else(
                    || format!("Write {word}.port."),
                    |first| {
                        format!(
                            "Write for example `{word}.{first}`. {}",
                            nearest::listed("output", &ports)
                        )
                    },
                );
                return Err(session.error(
                    Code::InvalidInput,
                    port.span,
                    message,
                    "a port is missing",
                    help,
                ));
            }
            InputText::Word(_) | InputText::Bare(_) => {
                return Err(self.bare(session, port, stage, text));
            }
            InputText::Empty => {
                let message = format!("the input `{}` of `{stage}` is an empty text", port.name);
                return Err(session.error(
                    Code::InvalidInput,
                    port.span,
                    message,
                    "empty",
                    "Write stage.port, a path that begins with ./, ../ or /, a URL, or ref:name.",
                ));
            }
        };
        let (source, port_type) = found;
        Ok(Found::Inputs(vec![CellInput {
            source,
            matrix: IndexMap::new(),
            port_type,
        }]))
    }

    /// The number of the stage that an input names; none where it cannot be read.
    fn find(
        &mut self,
        session: &mut Session<'_>,
        here: &Here<'d, 'n, 's>,
        port: &Port<'_>,
        text: &str,
        stage: &str,
        output: &str,
    ) -> Result<Option<usize>, Reported> {
        if let Some(at) = self.stages.by_name.get(stage) {
            return Ok(Some(*at));
        }
        if self.stages.unreadable.iter().any(|name| name == stage) {
            return Ok(None);
        }
        let near = self.stages.nearest(stage).map(str::to_owned);
        if self.files.exists(text) || (is_file_ending(output) && near.is_none()) {
            return Err(self.bare(session, port, here.draft.node.name.as_str(), text));
        }
        let message = format!(
            "the input `{}` of `{}` names the stage `{stage}`, which does not exist",
            port.name, here.draft.node.name
        );
        let help = match near {
            Some(near) => {
                format!("Did you mean `{near}.{output}`? A file would be written ./{text}.")
            }
            None => format!(
                "{} A file would be written ./{text}.",
                nearest::listed("stage", &self.stages.names().collect::<Vec<_>>())
            ),
        };
        Err(session.error(
            Code::UnknownStage,
            port.span,
            message,
            "no such stage",
            help,
        ))
    }

    fn bare(
        &self,
        session: &mut Session<'_>,
        port: &Port<'_>,
        stage: &str,
        text: &str,
    ) -> Reported {
        let message = format!(
            "the input `{}` of `{stage}` is {}, which is neither stage.port nor a path",
            port.name,
            quoted(text)
        );
        let help = if let Some((scheme, rest)) = url_with_one_slash(text) {
            format!("A URL has two slashes: write {scheme}://{rest}.")
        } else if text.starts_with('~') {
            "`~` is not expanded: write the path from /, or from the workflow file's folder with ./ or ../.".to_owned()
        } else {
            format!("A path begins with ./, ../ or /: write ./{text}.")
        };
        session.error(Code::BarePath, port.span, message, "not a path", help)
    }

    /// The cells of another stage that an input names.
    #[expect(clippy::too_many_arguments, reason = "one wire between two stages")]
    fn outputs(
        &mut self,
        session: &mut Session<'_>,
        here: &mut Here<'d, 'n, 's>,
        place: &Place<'_>,
        port: &Port<'_>,
        at: usize,
        output: &str,
        all: bool,
        upstream: &mut Vec<(CellId, Edge, Span)>,
    ) -> Result<Found, Reported> {
        let from = &self.stages.drafts[at];
        let (Some(matrix), Some(_)) = (&from.matrix, &from.plugin) else {
            return Err(Reported);
        };
        let stage = from.node.name.as_str();
        if all && !port.spec.many {
            let message = format!(
                "the input `{}` of `{}` takes one artifact, and `{stage}.*.{output}` is all cells",
                port.name, here.draft.node.name
            );
            return Err(session.error(
                Code::OneArtifact,
                port.span,
                message,
                "many artifacts",
                format!("Write {stage}.{output}, which is the cell with the same axis values."),
            ));
        }
        let everything: Vec<usize>;
        let cells: &[usize] = if all {
            everything = (0..matrix.cells.len()).collect();
            &everything
        } else if matrix.axes.is_empty() {
            &[0]
        } else {
            let join = here
                .joins
                .entry(at)
                .or_insert_with(|| Join::new(matrix, here.matrix));
            let cells = join.of(place.cell);
            if !join.only_upstream.is_empty() || cells.len() > 1 {
                return Err(axis_only_upstream(
                    session,
                    here.draft,
                    port,
                    from,
                    matrix,
                    &here.joins[&at].only_upstream,
                    output,
                ));
            }
            cells
        };
        let mut inputs = Vec::with_capacity(cells.len());
        let mut switched_off = None;
        for &number in cells {
            let draft = &from.cells[number];
            let given = port_type(session, here.draft, port, from, draft, output)?;
            if !port.spec.port_type.accepts(given) {
                return Err(self.wrong_type(session, here.draft, port, at, draft, output, given));
            }
            if !draft.active {
                switched_off = Some(&matrix.cells[number].label);
                continue;
            }
            let cell = CellId(from.first_cell + number);
            let values = if all {
                matrix.cells[number].values.clone()
            } else {
                IndexMap::new()
            };
            inputs.push(CellInput {
                source: InputSource::Output {
                    cell,
                    port: output.to_owned(),
                },
                matrix: values,
                port_type: given,
            });
            upstream.push((cell, Edge::Input, port.span));
            self.wires += 1;
        }
        if !inputs.is_empty() {
            return Ok(Found::Inputs(inputs));
        }
        let why = match switched_off {
            Some(label) => format!("`{label}` is switched off by its `when`"),
            None => format!(
                "`{stage}` has no cell with {}",
                here.joins
                    .get(&at)
                    .map_or_else(String::new, |join| join.wanted(place.cell))
            ),
        };
        let message = format!(
            "the input `{}` of `{}` is required, and {why}",
            port.name, place.cell.label
        );
        let help =
            format!("Give `{stage}` that cell, or leave this one out by `exclude` or `when`.");
        Ok(Found::Absent(Box::new(
            Diagnostic::new(
                Code::AbsentInput,
                session.source,
                port.span,
                message,
                "absent for this cell",
            )
            .help(help),
        )))
    }

    fn output_names(&self, at: usize) -> Vec<&str> {
        let arguments = self.stages.drafts[at]
            .cells
            .first()
            .and_then(|cell| cell.arguments.as_ref());
        arguments
            .map(|arguments| arguments.outputs.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    #[expect(clippy::too_many_arguments, reason = "both ends of a wire")]
    fn wrong_type(
        &self,
        session: &mut Session<'_>,
        here: &StageDraft<'_, '_>,
        port: &Port<'_>,
        at: usize,
        draft: &CellDraft,
        output: &str,
        given: PortType,
    ) -> Reported {
        let from = self.stages.drafts[at].node.name.as_str();
        let expected = port.spec.port_type;
        let message = format!(
            "the input `{}` of `{}` takes {}, and `{from}.{output}` is {}",
            port.name,
            here.node.name,
            article(expected),
            article(given)
        );
        let fits = |draft: &CellDraft| -> Vec<String> {
            let outputs = draft
                .arguments
                .iter()
                .flat_map(|arguments| arguments.outputs.iter());
            outputs
                .filter(|(_, port)| expected.accepts(port.port_type))
                .map(|(name, _)| name.clone())
                .collect()
        };
        let mut right: Vec<String> = fits(draft)
            .iter()
            .map(|name| format!("`{from}.{name}`"))
            .collect();
        if right.is_empty() {
            let others = self
                .stages
                .drafts
                .iter()
                .filter(|other| other.node.name != here.node.name)
                .take(1000);
            right = others
                .filter_map(|other| other.cells.first().map(|cell| (other, fits(cell))))
                .flat_map(|(other, names)| {
                    names
                        .into_iter()
                        .map(move |name| format!("`{}.{name}`", other.node.name))
                })
                .take(5)
                .collect();
        }
        let help = if right.is_empty() {
            format!("No stage of this workflow gives {}.", article(expected))
        } else {
            format!(
                "{} {}.",
                if right.len() == 1 {
                    "This is one:"
                } else {
                    "These are right:"
                },
                right.join(", ")
            )
        };
        session.error(
            Code::PortType,
            port.span,
            message,
            format!("{}, not {}", article(given), article(expected)),
            help,
        )
    }
}
