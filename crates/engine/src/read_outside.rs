//! Reads what a run depends on from outside, tells what has to be fetched for it, and can be stopped.

use std::pin::pin;

use supermoe_plugin::host::{StopLevel, StopSignal};
use supermoe_store::{Fetching, Store};
use supermoe_workflow::Workflow;
use tokio::sync::mpsc;

use crate::cell_key::OutsideDigests;
use crate::event::RunEvent;
use crate::event_log::EventLog;
use crate::selection::Role;

/// Gives nothing at a stop: large inputs may be on their way for hours, and no cell is looked at any
/// more.
pub(crate) async fn read_outside(
    workflow: &Workflow,
    roles: &[Role],
    store: &Store,
    mut stop: StopSignal,
    log: &mut EventLog<'_>,
) -> OutsideDigests {
    let (sender, mut fetching) = mpsc::unbounded_channel();
    // Nobody listens any more only where the run is over.
    let told = |fetching| drop(sender.send(fetching));
    let mut read = pin!(OutsideDigests::read(workflow, roles, store, &told));
    loop {
        tokio::select! {
            biased;
            Some(Fetching { url, objects, size_bytes }) = fetching.recv() => {
                log.tell(RunEvent::InputFetching { path: url.into(), objects, bytes: size_bytes });
            }
            () = stop.reached(StopLevel::Stop) => return OutsideDigests::default(),
            outside = &mut read => return outside,
        }
    }
}
