//! Ctrl-C, SIGTERM and SIGHUP: the first asks the run to stop cleanly, the second ends it now.

use std::io;

use supermoe_plugin::host::{StopLevel, StopSender};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::output;
use crate::progress::above_bars;

/// Listens until the runtime ends. Must be called within it.
pub fn stop_on_signals(stop: StopSender) -> io::Result<()> {
    let mut signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        hang_up: signal(SignalKind::hangup())?,
    };
    tokio::spawn(async move {
        signals.next().await;
        tell("stopping: running stages may save their state; once more ends them now");
        stop.raise(StopLevel::Stop);
        signals.next().await;
        tell("ending all stages now");
        stop.raise(StopLevel::Now);
        // Further ones are taken and change nothing: the run is ending as fast as it can.
        loop {
            signals.next().await;
        }
    });
    Ok(())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

fn tell(text: &str) {
    above_bars(|| output::to_stderr(text));
}
