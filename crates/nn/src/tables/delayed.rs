//! Asynchronous updates of bounded staleness (as PERSIA's embeddings, Lian et al. 2021): updates are
//! applied by a thread of their own while the next steps run, each exactly a fixed number of steps late.
//!
//! With a delay of k the rows that step t looks up have the updates of all steps to t - 1 - k, and no
//! later one: whatever the speed of the thread, the bits are the same. The update of step t begins when
//! the rows of step t + k have been looked up, and the lookup of step t + k + 1 waits for its end.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use super::store::{PendingUpdate, RowPart, RowUpdate, TableStore};
use crate::{Buffer, Error};

/// The thread that applies updates. Clones share it; it ends with the last of them.
#[derive(Clone, Debug)]
pub struct UpdateWorker {
    jobs: Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl UpdateWorker {
    /// Starts it; an error if the system has no more threads.
    pub fn new() -> Result<Self, Error> {
        let (jobs, received) = channel::<Job>();
        std::thread::Builder::new()
            .name("table updates".to_owned())
            .spawn(move || received.into_iter().for_each(|job| job()))
            .map_err(Error::device)?;
        Ok(Self { jobs })
    }
}

/// A store whose updates come late.
pub(super) struct DelayedUpdates<S> {
    rows: RwLock<Whereabouts<S>>,
    /// In the order of their steps.
    queue: VecDeque<PendingUpdate>,
    delay: u64,
    worker: UpdateWorker,
}

enum Whereabouts<S> {
    Here(S),
    /// With the worker, who gives it back.
    Away(Mutex<Receiver<Done<S>>>),
    /// The worker is gone.
    Lost,
}

struct Done<S> {
    rows: S,
    result: Result<(), Error>,
    /// What was applied: its memory belongs to the thread that made it.
    updates: Vec<PendingUpdate>,
}

fn lost() -> Error {
    Error::Device("the thread that updates the rows of id tables has ended".to_owned())
}

impl<S> Whereabouts<S> {
    /// The rows, when the worker is done with them.
    fn here(&mut self) -> Result<&mut S, Error> {
        if let Whereabouts::Away(done) = self {
            let done = done.get_mut().unwrap_or_else(PoisonError::into_inner);
            *self = match done.recv() {
                Ok(done) => {
                    drop(done.updates);
                    let here = Whereabouts::Here(done.rows);
                    if let Err(error) = done.result {
                        *self = here;
                        return Err(error);
                    }
                    here
                }
                Err(_) => Whereabouts::Lost,
            };
        }
        match self {
            Whereabouts::Here(rows) => Ok(rows),
            _ => Err(lost()),
        }
    }
}

impl<S: TableStore + 'static> DelayedUpdates<S> {
    /// Updates of `rows` that come `delay` steps late.
    pub(super) fn new(rows: S, delay: u64, worker: UpdateWorker) -> Self {
        Self {
            rows: RwLock::new(Whereabouts::Here(rows)),
            queue: VecDeque::new(),
            delay,
            worker,
        }
    }

    /// Asks the rows something that changes nothing.
    fn ask<R>(&self, ask: impl FnOnce(&S) -> Result<R, Error>) -> Result<R, Error> {
        if !matches!(*self.read_lock(), Whereabouts::Here(_)) {
            let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
            rows.here()?;
        }
        match &*self.read_lock() {
            Whereabouts::Here(rows) => ask(rows),
            _ => Err(lost()),
        }
    }

    fn read_lock(&self) -> RwLockReadGuard<'_, Whereabouts<S>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn whereabouts(&mut self) -> &mut Whereabouts<S> {
        let rows = self.rows.get_mut();
        rows.unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands updates to the worker.
    fn begin(&mut self, updates: Vec<PendingUpdate>) -> Result<(), Error> {
        let jobs = self.worker.jobs.clone();
        let whereabouts = self.whereabouts();
        whereabouts.here()?;
        let (give_back, done) = sync_channel(1);
        if let Whereabouts::Here(mut rows) =
            std::mem::replace(whereabouts, Whereabouts::Away(Mutex::new(done)))
        {
            let job = Box::new(move || {
                let mut all = updates.iter();
                let result = all.try_for_each(|update| rows.apply(update.as_update()));
                // Nobody waits where the table is gone.
                let _ = give_back.send(Done {
                    rows,
                    result,
                    updates,
                });
            });
            jobs.send(job).map_err(|_| lost())?;
        }
        Ok(())
    }
}

impl<S: TableStore + 'static> TableStore for DelayedUpdates<S> {
    fn lookup(&self, rows: &[u32], values: &mut [f32]) -> Result<(), Error> {
        self.ask(|store| store.lookup(rows, values))
    }

    fn apply(&mut self, update: RowUpdate<'_>) -> Result<(), Error> {
        self.queue.push_back(PendingUpdate {
            rows: Arc::clone(update.rows),
            gradient: Buffer::from_values(update.gradient),
            step: update.step,
            wait: self.delay,
        });
        Ok(())
    }

    fn release(&mut self) -> Result<(), Error> {
        for update in &mut self.queue {
            update.wait = update.wait.saturating_sub(1);
        }
        let due = self.queue.partition_point(|update| update.wait == 0);
        if due > 0 {
            let updates = self.queue.drain(..due).collect();
            self.begin(updates)?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Error> {
        let updates = std::mem::take(&mut self.queue);
        let rows = self.whereabouts().here()?;
        let mut updates = updates.iter();
        updates.try_for_each(|update| rows.apply(update.as_update()))
    }

    fn read(&self, part: RowPart, rows: Range<usize>, values: &mut [f32]) -> Result<(), Error> {
        self.ask(|store| store.read(part, rows, values))
    }

    fn write(&mut self, part: RowPart, rows: Range<usize>, values: &[f32]) -> Result<(), Error> {
        self.whereabouts().here()?.write(part, rows, values)
    }

    fn pending(&self) -> Vec<PendingUpdate> {
        self.queue.iter().cloned().collect()
    }

    fn set_pending(&mut self, updates: Vec<PendingUpdate>) -> Result<(), Error> {
        self.queue = updates.into();
        Ok(())
    }
}
