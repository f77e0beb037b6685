//! Ctrl-C, SIGTERM and SIGHUP: the first asks the run to stop cleanly, the second ends it now,
//! the third, or a run that takes long to end, this process.

use std::io;
use std::time::Duration;

use supermoe_plugin::host::{StopLevel, StopSender};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Exit;
use crate::output;
use crate::progress::above_bars;

/// How long a run that was told twice to end may take.
const ENDING: Duration = Duration::from_secs(5);

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
        // A disk or network that does not answer must not keep the user waiting, whichever
        // thread waits for it.
        std::thread::spawn(|| {
            std::thread::sleep(ENDING);
            leave();
        });
        signals.next().await;
        leave();
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

/// The watcher sees that this process has gone: it ends and removes what is left.
fn leave() -> ! {
    std::process::exit(Exit::Interrupted as i32)
}

fn tell(text: &str) {
    above_bars(|| output::to_stderr(text));
}
