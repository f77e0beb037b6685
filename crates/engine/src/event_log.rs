//! Every event of a run passes here: to the caller, to the journal, into the record.

use supermoe_store::StoreError;
use supermoe_workflow::CellId;

use crate::event::{Counts, RunEvent};
use crate::journal::Journal;
use crate::run_record::StageRecord;

/// Who watches the run.
pub(crate) type Sink<'a> = dyn FnMut(&RunEvent) + Send + 'a;

pub(crate) struct EventLog<'a> {
    sink: &'a mut Sink<'a>,
    pub journal: Journal,
    /// What is told before the journal is open: if it cannot be, there was no run.
    held: Option<Vec<(Option<CellId>, RunEvent)>>,
    /// By cell; none for what has not ended.
    records: Vec<Option<StageRecord>>,
}

impl<'a> EventLog<'a> {
    pub(crate) fn new(sink: &'a mut Sink<'a>, journal: Journal, cells: usize) -> EventLog<'a> {
        let mut records = Vec::new();
        records.resize_with(cells, || None);
        EventLog {
            sink,
            journal,
            // Where nothing changed, every cell ends before the journal is open.
            held: Some(Vec::with_capacity(cells + 1)),
            records,
        }
    }

    /// Waits for the journal; from then on events pass at once.
    pub(crate) async fn open(&mut self) -> Result<(), StoreError> {
        self.journal.open().await?;
        for (cell, event) in self.held.take().into_iter().flatten() {
            self.pass(cell, event);
        }
        Ok(())
    }

    pub(crate) fn tell(&mut self, event: RunEvent) {
        self.hold_or_pass(None, event);
    }

    /// An event that may end a cell.
    pub(crate) fn tell_of(&mut self, cell: CellId, event: RunEvent) {
        self.hold_or_pass(Some(cell), event);
    }

    fn hold_or_pass(&mut self, cell: Option<CellId>, event: RunEvent) {
        match &mut self.held {
            Some(held) => held.push((cell, event)),
            None => self.pass(cell, event),
        }
    }

    fn pass(&mut self, cell: Option<CellId>, event: RunEvent) {
        (self.sink)(&event);
        self.journal.record(&event);
        if let Some(cell) = cell
            && let Some(record) = StageRecord::from_event(event)
        {
            self.records[cell.index()] = Some(record);
        }
    }

    /// Only to the caller: the journal has its own copy.
    pub(crate) fn tell_caller(&mut self, event: &RunEvent) {
        (self.sink)(event);
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.records
            .iter()
            .flatten()
            .for_each(|record| counts.add(record.state));
        counts
    }

    pub(crate) fn take_records(&mut self) -> Vec<Option<StageRecord>> {
        std::mem::take(&mut self.records)
    }
}
