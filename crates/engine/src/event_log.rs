//! Every event of a run passes here: to the caller, to the journal, into the record.

use supermoe_workflow::CellId;

use crate::event::{Counts, RunEvent};
use crate::journal::Journal;
use crate::run_record::StageRecord;

/// Who watches the run.
pub(crate) type Sink<'a> = dyn FnMut(&RunEvent) + Send + 'a;

pub(crate) struct EventLog<'a> {
    sink: &'a mut Sink<'a>,
    pub journal: Journal,
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
            records,
        }
    }

    pub(crate) fn tell(&mut self, event: RunEvent) {
        (self.sink)(&event);
        self.journal.record(&event);
    }

    /// An event that may end a cell.
    pub(crate) fn tell_of(&mut self, cell: CellId, event: RunEvent) {
        (self.sink)(&event);
        self.journal.record(&event);
        if let Some(record) = StageRecord::from_event(event) {
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
