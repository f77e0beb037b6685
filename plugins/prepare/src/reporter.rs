//! What preparing tells while it works.

/// Takes progress and warnings; the plugin sends them as events, tests collect them.
pub trait Reporter {
    fn progress(&mut self, done: u64, total: u64, unit: &str, message: &str);
    fn warn(&mut self, message: &str);
    /// Whether to leave early.
    fn stop_requested(&self) -> bool;
}
