//! The programs that are measured.

use std::path::{Path, PathBuf};

use super::configuration::Configuration;
use super::figures::{Figures, last_object, number};
use crate::command::{self, Cost, TaskError, measure_printed};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Ours,
    Eager,
    Compiled,
    /// A peer that is not the project's.
    Reference,
}

impl Kind {
    pub const PEERS: [Kind; 3] = [Kind::Eager, Kind::Compiled, Kind::Reference];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Ours => "supermoe",
            Kind::Eager => "PyTorch",
            Kind::Compiled => "torch.compile",
            Kind::Reference => "reference",
        }
    }
}

pub struct Contender {
    pub kind: Kind,
    program: PathBuf,
    /// The script, where `program` is an interpreter.
    script: Option<PathBuf>,
    /// The script for an epoch on the retail data.
    pub retail: Option<PathBuf>,
}

impl Contender {
    pub fn ours(program: PathBuf) -> Self {
        Self {
            kind: Kind::Ours,
            program,
            script: None,
            retail: None,
        }
    }

    pub fn peer(kind: Kind, python: PathBuf, script: PathBuf, retail: Option<PathBuf>) -> Self {
        Self {
            kind,
            program: python,
            script: Some(script),
            retail,
        }
    }

    /// One run of a configuration.
    pub fn measure(
        &self,
        configuration: &Configuration,
        arguments: &[String],
    ) -> Result<Figures, TaskError> {
        let mut all: Vec<String> = self
            .script
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        all.extend(configuration.flags());
        all.extend_from_slice(arguments);
        if self.kind == Kind::Compiled {
            all.push("--compile".to_owned());
        }
        let (_, printed) = measure_printed(&self.program, all, command::root())?;
        Figures::parse(self.kind.name(), &printed)
    }

    /// Runs a script of the peer's; what it cost, and what it printed.
    pub fn run_script(
        &self,
        script: &Path,
        arguments: &[String],
    ) -> Result<(Cost, String), TaskError> {
        let mut all = vec![script.display().to_string()];
        all.extend_from_slice(arguments);
        measure_printed(&self.program, all, command::root())
    }

    /// The machine's rate of f32 matrix products, in GFLOP/s; ours knows how to measure it.
    pub fn sgemm_rate(&self, threads: usize) -> Result<f64, TaskError> {
        let arguments = ["--sgemm".to_owned(), format!("--threads={threads}")];
        let (_, printed) = measure_printed(&self.program, arguments, command::root())?;
        number("sgemm", &last_object("sgemm", &printed)?, "gflops")
    }
}
