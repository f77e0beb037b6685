//! Whether the host has asked the worker to leave: set by SIGTERM, read between steps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag that SIGTERM sets from now on, instead of ending the process.
    pub fn on_sigterm() -> io::Result<Self> {
        let flag = StopFlag::default();
        signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&flag.0))?;
        Ok(flag)
    }

    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
