//! For authors of plugins in Rust: describe one with [`manifest`], write its `run`, [`serve`] it.

mod builder;
mod context;
mod error;
mod event_writer;
mod input_names;
mod serve;
mod stop_flag;

pub use builder::{ManifestBuilder, manifest, schema_of};
pub use context::Context;
pub use error::PluginError;
pub use event_writer::EventWriter;
pub use serve::{serve, serve_request};

use crate::manifest::Manifest;

type Run = Box<dyn Fn(&mut Context) -> Result<(), PluginError> + Send + Sync>;

/// A plugin's manifest and the function that does its work.
pub struct BuiltIn {
    pub manifest: Manifest,
    run: Run,
}

impl BuiltIn {
    /// `run` reads its inputs and params from the context and writes its outputs where the
    /// context says.
    pub fn new(
        manifest: Manifest,
        run: impl Fn(&mut Context) -> Result<(), PluginError> + Send + Sync + 'static,
    ) -> Self {
        BuiltIn {
            manifest,
            run: Box::new(run),
        }
    }

    /// Does the work, in this process.
    pub fn run(&self, context: &mut Context) -> Result<(), PluginError> {
        (self.run)(context)
    }
}

impl std::fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuiltIn")
            .field("name", &self.manifest.name)
            .finish_non_exhaustive()
    }
}
