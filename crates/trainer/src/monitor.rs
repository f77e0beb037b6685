//! Whom the training loop tells and asks: the plugin's context in a worker, a stand-in in tests.

use std::path::Path;

/// The outside of a training run.
pub trait Monitor {
    /// `done` of `total` steps, in a phase such as `epoch 2`.
    fn progress(&mut self, done: u64, total: u64, phase: &str, loss: Option<f64>);
    /// A metric of the stage; `step` for those that change during the run.
    fn metric(&mut self, name: &str, value: f64, step: Option<u64>);
    fn warn(&mut self, message: &str);
    /// The checkpoint folder holds a whole state.
    fn checkpoint_ready(&mut self, step: u64);
    /// Asked after every step: whether to save a checkpoint and leave.
    fn stop_requested(&mut self) -> bool;
    /// Where checkpoints are kept, if anywhere.
    fn checkpoint(&self) -> Option<&Path>;
}
