//! What a plugin's `run` works with: its request, and the way to say how it goes.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::stop_flag::StopFlag;
use super::{EventWriter, PluginError};
use crate::event::{Event, LogLevel, Progress};
use crate::request::{InputArtifact, Request};

#[derive(Debug)]
pub struct Context {
    request: Request,
    events: EventWriter,
    stop: StopFlag,
}

impl Context {
    /// For a test of a plugin within one process: nobody asks it to stop but [`Self::ask_to_stop`].
    pub fn new(request: Request, events: EventWriter) -> Self {
        Context::with_stop(request, events, StopFlag::default())
    }

    pub(super) fn with_stop(request: Request, events: EventWriter, stop: StopFlag) -> Self {
        Context {
            request,
            events,
            stop,
        }
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    /// `with`, as the type that the manifest's schema was derived from.
    pub fn params<P: DeserializeOwned>(&self) -> Result<P, PluginError> {
        serde_json::from_value(Value::Object(self.request.params.clone()))
            .map_err(|error| PluginError::new(format!("params are not as expected: {error}")))
    }

    /// The one artifact of an input that has to be there: a file or a folder, by the port's type.
    pub fn input(&self, port: &str) -> Result<&Path, PluginError> {
        match self.inputs(port) {
            [one] => Ok(&one.path),
            [] => Err(PluginError::new(format!(
                "the input `{port}` was not given"
            ))),
            several => Err(PluginError::new(format!(
                "the input `{port}` takes one artifact, and {} were given",
                several.len()
            ))),
        }
    }

    /// The artifact of an input that may be absent.
    pub fn optional_input(&self, port: &str) -> Option<&Path> {
        self.inputs(port)
            .first()
            .map(|artifact| artifact.path.as_path())
    }

    /// All artifacts of an input, in the workflow's order; empty where it is absent.
    pub fn inputs(&self, port: &str) -> &[InputArtifact] {
        self.request.inputs.get(port).map_or(&[], Vec::as_slice)
    }

    /// Where to write an output: a file that does not exist yet, or an empty folder that does.
    pub fn output(&self, port: &str) -> Result<&Path, PluginError> {
        self.request
            .outputs
            .get(port)
            .map(PathBuf::as_path)
            .ok_or_else(|| PluginError::new(format!("there is no output `{port}`")))
    }

    /// The folder for mid-stage state; holds the newest where an earlier attempt left one.
    /// `None` for plugins that declare no checkpoints.
    pub fn checkpoint(&self) -> Option<&Path> {
        self.request.checkpoint.as_deref()
    }

    /// Scratch space, removed afterwards.
    pub fn work(&self) -> &Path {
        &self.request.work
    }

    pub fn seed(&self) -> u64 {
        self.request.seed
    }

    /// How many threads to use, at least 1. Outputs must not depend on it.
    pub fn threads(&self) -> usize {
        self.request.threads.max(1) as usize
    }

    /// `cpu` or `cuda:N`.
    pub fn device(&self) -> &str {
        &self.request.device
    }

    /// Cheap to call at every step: what comes too fast is thinned out.
    pub fn progress(&self, progress: Progress) {
        self.events.write(Event::Progress(progress));
    }

    /// A value of a metric; the last one of a name is the stage's. `step` places it on a curve.
    pub fn metric(&self, name: &str, value: f64, step: Option<u64>) {
        self.events.write(Event::Metric {
            name: name.to_owned(),
            value,
            step,
        });
    }

    pub fn log(&self, level: LogLevel, message: impl Into<String>) {
        self.events.write(Event::Log {
            level,
            message: message.into(),
        });
    }

    /// Says that the checkpoint folder now holds a whole, consistent state.
    pub fn checkpoint_ready(&self, step: Option<u64>) {
        self.events.write(Event::Checkpoint { step });
    }

    /// Whether to leave: then save a checkpoint and return [`PluginError::stopped`]. Read it
    /// between steps, at least every second.
    pub fn stop_requested(&self) -> bool {
        self.stop.is_set()
    }

    /// Makes [`Self::stop_requested`] true, as SIGTERM does.
    pub fn ask_to_stop(&self) {
        self.stop.set();
    }

    /// The writer of events, for other threads.
    pub fn events(&self) -> &EventWriter {
        &self.events
    }
}
