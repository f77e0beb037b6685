//! The same graph of trivial shell stages, written for each tool in its own best way.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::command::TaskError;

/// Stages stand in layers of this many; each appends to the output of the one above it.
pub const LAYER: usize = 10;

/// Our workflow: one stage for each (layer, column).
pub fn write_ours(folder: &Path, stages: usize) -> Result<(), TaskError> {
    let mut text = String::from("name: layers\nstages:\n");
    for index in 0..stages {
        let (layer, column) = (index / LAYER, index % LAYER);
        let _ = writeln!(text, "  s{layer}_{column}:\n    uses: shell");
        let command = if layer == 0 {
            format!("echo {column} > ${{{{ outputs.out }}}}")
        } else {
            let above = layer - 1;
            let _ = writeln!(text, "    inputs: {{ above: s{above}_{column}.out }}");
            format!(
                "cat ${{{{ inputs.above }}}} > ${{{{ outputs.out }}}}; echo {layer} >> ${{{{ outputs.out }}}}"
            )
        };
        let _ = writeln!(
            text,
            "    with:\n      command: \"{command}\"\n      outputs: {{ out: file }}"
        );
    }
    fs::write(folder.join("layers.yaml"), text).map_err(TaskError::io("layers.yaml"))?;
    fs::write(folder.join("supermoe.toml"), "").map_err(TaskError::io("supermoe.toml"))
}

/// Snakemake: one rule with wildcards, which is what it is fastest with.
pub fn write_snakemake(folder: &Path, stages: usize) -> Result<(), TaskError> {
    let last = stages / LAYER - 1;
    let text = format!(
        "rule all:\n    input: expand(\"out/{last}_{{column}}\", column=range({LAYER}))\n\n\
         rule first:\n    output: \"out/0_{{column}}\"\n    shell: \"echo {{wildcards.column}} > {{output}}\"\n\n\
         rule layer:\n    input: lambda w: f\"out/{{int(w.layer) - 1}}_{{w.column}}\"\n    \
         output: \"out/{{layer,[1-9][0-9]*}}_{{column}}\"\n    \
         shell: \"cat {{input}} > {{output}}; echo {{wildcards.layer}} >> {{output}}\"\n"
    );
    fs::write(folder.join("Snakefile"), text).map_err(TaskError::io("Snakefile"))
}

/// DVC: one stage for each (layer, column), as `dvc stage add` writes them.
pub fn write_dvc(folder: &Path, stages: usize) -> Result<(), TaskError> {
    let mut text = String::from("stages:\n");
    for index in 0..stages {
        let (layer, column) = (index / LAYER, index % LAYER);
        let _ = writeln!(text, "  s{layer}_{column}:");
        if layer == 0 {
            let _ = writeln!(text, "    cmd: echo {column} > o{layer}_{column}");
        } else {
            let above = layer - 1;
            let _ = writeln!(
                text,
                "    cmd: cat o{above}_{column} > o{layer}_{column}; echo {layer} >> o{layer}_{column}\n    deps: [o{above}_{column}]"
            );
        }
        let _ = writeln!(text, "    outs: [o{layer}_{column}]");
    }
    fs::write(folder.join("dvc.yaml"), text).map_err(TaskError::io("dvc.yaml"))
}
