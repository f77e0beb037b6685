//! Outputs that a stage does not have, and cells of which nobody knows which is meant.

use supermoe_plugin::ports::PortType;

use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::draft::{CellDraft, StageDraft};
use crate::expand::Matrix;
use crate::nearest;
use crate::session::{Reported, Session};
use crate::wiring::Port;

/// The type of an output of a cell.
pub(crate) fn port_type(
    session: &mut Session<'_>,
    here: &StageDraft<'_, '_>,
    port: &Port<'_>,
    from: &StageDraft<'_, '_>,
    draft: &CellDraft,
    output: &str,
) -> Result<PortType, Reported> {
    let Some(arguments) = &draft.arguments else {
        return Err(Reported);
    };
    if let Some(found) = arguments.outputs.get(output) {
        return Ok(found.port_type);
    }
    let stage = &from.node.name;
    let message = format!(
        "the input `{}` of `{}` names the output `{output}` of `{stage}`, which does not have it",
        port.name, here.node.name
    );
    let help = match nearest::nearest(output, arguments.outputs.keys().map(String::as_str)) {
        Some(near) => format!("Did you mean `{stage}.{near}`?"),
        None => nearest::listed(
            "output",
            &arguments
                .outputs
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        ),
    };
    Err(session.error(
        Code::UnknownPort,
        port.span,
        message,
        "unknown output",
        help,
    ))
}

pub(crate) fn axis_only_upstream(
    session: &mut Session<'_>,
    here: &StageDraft<'_, '_>,
    port: &Port<'_>,
    from: &StageDraft<'_, '_>,
    matrix: &Matrix,
    axes: &[String],
    output: &str,
) -> Reported {
    let stage = &from.node.name;
    let axes = if axes.is_empty() {
        &matrix.axes[matrix.declared..]
    } else {
        axes
    };
    let names = axes
        .iter()
        .map(|axis| format!("`{axis}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let message = format!(
        "the input `{}` of `{}` names `{stage}.{output}`, and `{stage}` has a cell for each {names}, which `{}` does not have",
        port.name, here.node.name, here.node.name
    );
    let mut help = if port.spec.many {
        format!(
            "Write {stage}.*.{output} to get all cells, or give `{}` the same axis.",
            here.node.name
        )
    } else {
        format!(
            "Give `{}` the same axis: the input takes one artifact.",
            here.node.name
        )
    };
    if !port.spec.many {
        help.push_str(&format!(
            " A stage that gathers all cells names {stage}.*.{output}."
        ));
    }
    let diagnostic = Diagnostic::new(
        Code::AxisOnlyUpstream,
        session.source,
        port.span,
        message,
        "which cell is meant?",
    )
    .help(help);
    session.report(diagnostic)
}
