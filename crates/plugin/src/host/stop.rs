//! How a run tells its workers to leave.

use tokio::sync::watch;

/// Only ever rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopLevel {
    Running,
    /// SIGTERM, and SIGKILL to what is left after the grace period.
    Stop,
    /// SIGKILL at once.
    Now,
}

/// Given to every worker of a run; all clones see the same level.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<StopLevel>);

#[derive(Debug, Clone)]
pub struct StopSender(watch::Sender<StopLevel>);

pub fn stop_channel() -> (StopSender, StopSignal) {
    let (sender, receiver) = watch::channel(StopLevel::Running);
    (StopSender(sender), StopSignal(receiver))
}

impl StopSender {
    /// Raises the level; a lower one changes nothing.
    pub fn raise(&self, level: StopLevel) {
        self.0.send_if_modified(|current| {
            let higher = level > *current;
            if higher {
                *current = level;
            }
            higher
        });
    }

    pub fn level(&self) -> StopLevel {
        *self.0.borrow()
    }

    /// A further receiver.
    pub fn signal(&self) -> StopSignal {
        StopSignal(self.0.subscribe())
    }
}

impl StopSignal {
    /// A signal that never comes.
    pub fn never() -> Self {
        stop_channel().1
    }

    pub fn level(&self) -> StopLevel {
        *self.0.borrow()
    }

    /// Waits until the level is at least this. Where the sender is gone, for ever.
    pub async fn reached(&mut self, level: StopLevel) {
        if self.0.wait_for(|current| *current >= level).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
