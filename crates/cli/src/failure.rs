//! What ends a command early, how it is told and which exit code it has.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use miette::{Diagnostic, Severity};

use crate::output;
use crate::screen::Screen;

/// The program's exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// A stage failed, or the machine or the store did.
    Failed = 1,
    /// What the user wrote is wrong.
    WrongInput = 2,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

#[derive(Debug)]
pub enum Failure {
    /// One message for the user.
    Problem(Box<Problem>),
    /// Messages that were rendered by who found them; the user's input is wrong.
    Rendered(String),
    /// Whoever read our output has gone.
    OutputClosed,
}

/// A message: what is wrong, why, and what to do about it.
#[derive(Debug)]
pub struct Problem {
    exit: Exit,
    severity: Severity,
    code: &'static str,
    message: String,
    help: Option<String>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// The user's input is wrong.
    pub fn input(code: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            exit: Exit::WrongInput,
            severity: Severity::Error,
            code,
            message: message.into(),
            help: None,
            cause: None,
        }
    }

    /// The machine or the store failed.
    pub fn failed(code: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            exit: Exit::Failed,
            ..Problem::input(code, message)
        }
    }

    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Problem {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause
            .as_ref()
            .map(|cause| cause.as_ref() as &(dyn Error + 'static))
    }
}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display + 'a>)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Problem(Box::new(problem))
    }
}

/// Only for writing to stdout: any other failure of input or output says which file it met.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Problem::failed("supermoe::cli::output", "Cannot write to stdout")
                .because(error)
                .into(),
        }
    }
}

impl Failure {
    /// Tells the user on stderr, of what keeps nothing from going on.
    pub fn warn(self) {
        match self {
            Failure::OutputClosed => {}
            Failure::Rendered(text) => output::to_stderr(&text),
            Failure::Problem(mut problem) => {
                problem.severity = Severity::Warning;
                output::to_stderr(&Screen::stderr().render(problem.as_ref()));
            }
        }
    }

    /// Tells the user on stderr.
    pub fn report(self) -> ExitCode {
        match self {
            Failure::OutputClosed => Exit::Done.into(),
            Failure::Rendered(text) => {
                output::to_stderr(&text);
                Exit::WrongInput.into()
            }
            Failure::Problem(problem) => {
                output::to_stderr(&Screen::stderr().render(problem.as_ref()));
                problem.exit.into()
            }
        }
    }
}
