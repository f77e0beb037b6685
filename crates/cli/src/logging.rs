//! Where `tracing` goes: stderr, above the progress bars, as text or JSON lines.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::arguments::{Arguments, Command, LogFormat};
use crate::failure::{Failure, Problem};
use crate::progress::above_bars;
use crate::screen::Screen;

/// Sets the subscriber up. Without `--log` only warnings are shown; a built-in worker, whose
/// stderr is its stage's log, also says what it is doing.
pub fn start(arguments: &Arguments) -> Result<(), Failure> {
    let ansi = arguments.log_format == LogFormat::Text && Screen::stderr().color;
    let Some(text) = &arguments.log else {
        let level = match arguments.command {
            Command::Worker(_) => LevelFilter::INFO,
            _ => LevelFilter::WARN,
        };
        match arguments.log_format {
            LogFormat::Text => tracing_subscriber::registry()
                .with(level)
                .with(
                    tracing_subscriber::fmt::layer()
                        .with_ansi(ansi)
                        .with_writer(AboveBars)
                        .without_time()
                        .with_target(false),
                )
                .init(),
            LogFormat::Json => tracing_subscriber::registry()
                .with(level)
                .with(
                    tracing_subscriber::fmt::layer()
                        .json()
                        .with_writer(AboveBars),
                )
                .init(),
        }
        return Ok(());
    };
    let filter = EnvFilter::builder().parse(text).map_err(|error| {
        Problem::input(
            "supermoe::cli::log_filter",
            format!("`{text}` is no log filter"),
        )
        .because(error)
        .help("Write a level (`debug`), or targets with levels: `warn,supermoe_engine=debug`")
    })?;
    match arguments.log_format {
        LogFormat::Text => tracing_subscriber::registry()
            .with(filter)
            .with(
                tracing_subscriber::fmt::layer()
                    .with_ansi(ansi)
                    .with_writer(AboveBars),
            )
            .init(),
        LogFormat::Json => tracing_subscriber::registry()
            .with(filter)
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .with_writer(AboveBars),
            )
            .init(),
    }
    Ok(())
}

/// Writes log lines to stderr so that they do not tear the progress bars apart.
struct AboveBars;

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line
    }
}

struct Line;

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A closed stderr must not stop the run.
        above_bars(|| {
            let _ = io::stderr().lock().write_all(bytes);
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
