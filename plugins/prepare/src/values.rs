//! The raw values of a bucket, seen from a sample.

use supermoe_channels::{Per, signed_log};

use crate::channel::{PlannedChannel, RawColumn};
use crate::samples::SampleChunk;
use crate::steps::StepColumns;

/// The values of a bucket that do not hang on the chunk of samples.
pub struct BucketValues<'a> {
    pub channels: &'a [PlannedChannel],
    pub steps: &'a StepColumns,
    /// By channel, then by snapshot.
    pub snapshots: &'a [Option<RawColumn>],
    /// By channel, then by entity.
    pub entities: &'a [Option<RawColumn>],
}

impl BucketValues<'_> {
    /// Calls `each` with the number of a dense channel or total at every step of a sample, oldest
    /// first; NaN where there is no value. Totals come after the channels.
    pub fn for_each_number(
        &self,
        channel: usize,
        chunk: &SampleChunk<'_>,
        sample: usize,
        mut each: impl FnMut(f64),
    ) {
        let first = chunk.first_step[sample] as usize;
        let steps = first..first + chunk.steps[sample] as usize;
        let window_first = chunk.window_first[sample] as usize;
        let window = &chunk.windows[sample];
        let Some(planned) = self.channels.get(channel) else {
            let total = channel - self.channels.len();
            let running = self.steps.running(total, window_first, steps);
            running.for_each(|sum| each(signed_log(sum)));
            return;
        };
        match planned.per {
            Per::Step => {
                let Some(column) = &self.steps.channels[channel] else {
                    return;
                };
                if let RawColumn::Numbers(numbers) = &column.values {
                    for step in steps {
                        each(f64::from(match &column.first_of_window {
                            Some(RawColumn::Numbers(first)) if step == window_first => first[step],
                            _ => numbers[step],
                        }));
                    }
                }
            }
            Per::SampleStep => {
                if let Some(RawColumn::Numbers(numbers)) = &chunk.channels[channel] {
                    let of_sample = chunk.offsets[sample]..chunk.offsets[sample + 1];
                    numbers[of_sample].iter().for_each(|&x| each(f64::from(x)));
                }
            }
            Per::Snapshot => {
                if let Some(RawColumn::Numbers(numbers)) = &self.snapshots[channel] {
                    let value = f64::from(numbers[window.snapshot]);
                    steps.for_each(|_| each(value));
                }
            }
            Per::Entity => {
                if let Some(RawColumn::Numbers(numbers)) = &self.entities[channel] {
                    let value = f64::from(numbers[window.entity as usize]);
                    steps.for_each(|_| each(value));
                }
            }
        }
    }

    /// The code of an id or category channel at the newest step of a sample.
    pub fn newest_code(
        &self,
        channel: usize,
        chunk: &SampleChunk<'_>,
        sample: usize,
    ) -> Option<u32> {
        let newest = (chunk.first_step[sample] + u64::from(chunk.steps[sample])) as usize - 1;
        let window = &chunk.windows[sample];
        let (column, place) = match self.channels.get(channel)?.per {
            Per::Step => {
                let column = self.steps.channels[channel].as_ref()?;
                let alone = newest == chunk.window_first[sample] as usize;
                let first = column.first_of_window.as_ref().filter(|_| alone);
                (first.unwrap_or(&column.values), newest)
            }
            Per::SampleStep => (
                chunk.channels[channel].as_ref()?,
                chunk.offsets[sample + 1] - 1,
            ),
            Per::Snapshot => (self.snapshots[channel].as_ref()?, window.snapshot),
            Per::Entity => (self.entities[channel].as_ref()?, window.entity as usize),
        };
        match column {
            RawColumn::Codes(codes) => Some(codes[place]),
            RawColumn::Numbers(_) => None,
        }
    }
}
