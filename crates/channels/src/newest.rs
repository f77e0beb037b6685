//! What is known of a sample at its newest step, the one that a look at its segment goes by.

use crate::dataset::{Dataset, SampleId};
use crate::pack::{for_each_number, pack_codes};
use crate::schema::UNKNOWN_CODE;

impl Dataset {
    /// The code of an id or category channel, by its index in the schema, at the sample's newest step.
    pub fn newest_code(&self, channel: usize, sample: SampleId) -> u32 {
        let mut codes = Vec::with_capacity(self.tokens(sample));
        pack_codes(self, channel, sample, &mut codes);
        // The last is that of the snapshot step.
        codes.pop();
        codes.pop().unwrap_or(UNKNOWN_CODE)
    }

    /// The raw number of a dense channel at the sample's newest step; NaN where there is none.
    pub fn newest_number(&self, channel: usize, sample: SampleId) -> f64 {
        let mut newest = f64::NAN;
        for_each_number(self, channel, sample, |number| newest = number);
        newest
    }

    /// Number of steps of the sample's history, before the cut to `length`.
    pub fn history_steps(&self, sample: SampleId) -> u64 {
        let samples = &self.samples;
        let end = samples.first_step[sample.index()] + u64::from(samples.steps[sample.index()]);
        end - samples.window_first[sample.index()]
    }
}
