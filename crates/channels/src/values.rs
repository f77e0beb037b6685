//! The values of a dataset, in columns.

use crate::schema::Split;

/// What all steps have besides their channels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Steps {
    /// Index of the entity; ascending.
    pub entity: Vec<u32>,
    /// Index of the step's time among the distinct times of its entity; ascending within one.
    pub visit: Vec<u32>,
}

/// The values of one channel; the vectors run over steps, samples, or the steps of each sample.
#[derive(Debug, Clone, PartialEq)]
pub enum ChannelValues {
    /// By step. `first_of_window` replaces the value where the step is the first of its sample's
    /// history window.
    Codes {
        values: Vec<u32>,
        first_of_window: Option<Vec<u32>>,
    },
    /// By step; NaN where there is no value.
    Numbers {
        values: Vec<f32>,
        first_of_window: Option<Vec<f32>>,
    },
    /// By step: the sum from the entity's first step to this one.
    Total(Vec<f64>),
    /// By sample and step after the cut: sample 0's steps, then sample 1's, ...
    SampleStepCodes(Vec<u32>),
    /// By sample and step after the cut; NaN where there is no value.
    SampleStepNumbers(Vec<f32>),
    /// By sample.
    SnapshotCodes(Vec<u32>),
    /// By sample; NaN where there is no value.
    SnapshotNumbers(Vec<f32>),
    /// By entity index.
    EntityCodes(Vec<u32>),
    /// By entity index; NaN where there is no value.
    EntityNumbers(Vec<f32>),
}

/// Every vector has one item per sample.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    pub entity_index: Vec<u32>,
    /// The entity's key as text.
    pub entity: Vec<String>,
    /// Milliseconds since 1970-01-01 UTC.
    pub snapshot_ms: Vec<i64>,
    pub split: Vec<Split>,
    /// Index of the first step after the cut to `length`.
    pub first_step: Vec<u64>,
    /// Number of steps after the cut to `length`: 1 to `length`.
    pub steps: Vec<u32>,
    /// Index of the first step of the history window, before the cut.
    pub window_first: Vec<u64>,
    /// By aggregate, then by sample; NaN where there is no value.
    pub aggregates: Vec<Vec<f32>>,
    /// By task, then by sample; NaN where there is no label.
    pub labels: Vec<Vec<f32>>,
}

impl Samples {
    pub fn len(&self) -> usize {
        self.entity.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entity.is_empty()
    }
}
