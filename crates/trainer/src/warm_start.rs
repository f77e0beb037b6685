//! A training that begins with the weights of an encoder, whose dataset may have been another: the rows of
//! tables are matched by what their codes stand for, and new codes keep rows of their own.

use std::collections::BTreeMap;
use std::path::Path;

use supermoe_channels::{FIRST_CODE, FittedParts, Vocabulary};
use supermoe_nn::tables::RowOptimizer;

use crate::encoder_artifact::{ArtifactConfig, WEIGHTS_FILE};
use crate::error::TrainError;
use crate::job::{Job, Training};
use crate::model_factory::{InputShape, TrainingDevice};
use crate::model_input::InputLayout;
use crate::monitor::Monitor;
use crate::network::{Network, WeightSet};
use crate::scale_shift::scale_shift;

/// An encoder that fits a job.
pub struct WarmStart<'a> {
    folder: &'a Path,
    config: ArtifactConfig,
    /// Where the encoder's dataset was fitted otherwise than that of the job.
    refitted: Option<Refitted>,
}

struct Refitted {
    /// Of the encoder.
    parts: FittedParts,
    /// By channel whose codes differ: for each code here, the code there.
    rows: BTreeMap<String, Vec<Option<u32>>>,
}

impl<'a> WarmStart<'a> {
    /// Reads what the encoder in `folder` is, and looks whether it fits. What differs and does not stand in
    /// the way is told as a warning.
    ///
    /// # Errors
    /// A missing or damaged file, another model, other shapes, other channels: by name, with both.
    pub fn open<P: Training>(
        folder: &'a Path,
        job: &Job<'_, P>,
        monitor: &mut dyn Monitor,
    ) -> Result<WarmStart<'a>, TrainError> {
        let (config, wanted) = (ArtifactConfig::read(folder)?, job.config());
        config.check_usable_as(&wanted, job.factory.training_params)?;
        let refitted = if config.channels == wanted.channels {
            None
        } else {
            Some(refitted(folder, job, monitor)?)
        };
        Ok(WarmStart {
            folder,
            config,
            refitted,
        })
    }

    /// Puts the encoder's weights into the network that the job has built; `tasks` are those of its towers.
    /// Gives back a name for the weights.
    ///
    /// # Errors
    /// Weights of other shapes.
    pub fn read<D: TrainingDevice, P: Training>(
        &self,
        job: &Job<'_, P>,
        tasks: &[supermoe_channels::Task],
        network: &mut Network<D>,
    ) -> Result<String, TrainError> {
        let path = self.folder.join(WEIGHTS_FILE);
        match &self.refitted {
            None => network.read(&path, WeightSet::Encoder)?,
            Some(refitted) => {
                let layout = InputLayout::new(&refitted.parts.schema);
                let shape = InputShape {
                    schema: &refitted.parts.schema,
                    d_model: self.config.d_model,
                    dropout: 0.0,
                    maskable: &layout.maskable,
                    tasks,
                };
                let device = network.device().clone();
                // The weights are read: neither a seed nor an optimizer matters.
                let (mut theirs, ()) =
                    Network::build(device, 0, RowOptimizer::LazyAdam, |builder| {
                        Ok((job.factory.build(&job.model_params, &shape, builder)?, ()))
                    })?;
                theirs.read(&path, WeightSet::Encoder)?;
                take_over(network, &theirs, &refitted.rows)?;
            }
        }
        let bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
        Ok(blake3::hash(&bytes).to_hex().to_string())
    }
}

/// What has changed between the encoder's dataset and the job's.
fn refitted<P: Training>(
    folder: &Path,
    job: &Job<'_, P>,
    monitor: &mut dyn Monitor,
) -> Result<Refitted, TrainError> {
    let parts = FittedParts::open(folder)
        .map_err(|error| TrainError::Encoder(format!("its dataset is another, and {error}")))?;
    let here = job.dataset.schema();
    let mut rows = BTreeMap::new();
    for (theirs, ours) in parts.schema.channels.iter().zip(&here.channels) {
        let name = &ours.name;
        if ours.is_dense() {
            let scales = [theirs, ours].map(|channel| (channel.mean, channel.deviation));
            let told = scale_shift(&format!("channel `{name}`"), scales)?;
            told.inspect(|told| monitor.warn(told));
            continue;
        }
        let vocabularies = (parts.vocabularies.get(name), job.dataset.vocabulary(name));
        let (Some(theirs), Some(ours)) = vocabularies else {
            continue; // Hashed alike: the same rows.
        };
        if theirs
            .entries()
            .iter()
            .map(|entry| &entry.value)
            .ne(ours.entries().iter().map(|entry| &entry.value))
        {
            let matched = matched(theirs, ours);
            told_rows(name, theirs, &matched, monitor)?;
            rows.insert(name.clone(), matched);
        }
    }
    for (theirs, ours) in parts.schema.aggregates.iter().zip(&here.aggregates) {
        let scales = [theirs, ours].map(|aggregate| (aggregate.mean, aggregate.deviation));
        let told = scale_shift(&format!("aggregate `{}`", ours.name), scales)?;
        told.inspect(|told| monitor.warn(told));
    }
    Ok(Refitted { parts, rows })
}

/// For each code here, the code that stood for the same value there; reserved codes stay.
fn matched(theirs: &Vocabulary, ours: &Vocabulary) -> Vec<Option<u32>> {
    let codes = theirs.encoder();
    let values = ours.entries().iter().map(|entry| {
        let value = entry.value.as_str();
        codes.knows(value).then(|| codes.code(Some(value)))
    });
    (0..FIRST_CODE).map(Some).chain(values).collect()
}

/// # Errors
/// No value is the same: this is another channel of the same name.
fn told_rows(
    channel: &str,
    theirs: &Vocabulary,
    matched: &[Option<u32>],
    monitor: &mut dyn Monitor,
) -> Result<(), TrainError> {
    let values = &matched[FIRST_CODE as usize..];
    let known = values.iter().flatten().count();
    if known == 0 && !theirs.entries().is_empty() {
        return Err(TrainError::Encoder(format!(
            "the codes of channel `{channel}` stand for other values in the dataset, or for none: not one is the same"
        )));
    }
    let (new, gone) = (values.len() - known, theirs.entries().len() - known);
    monitor.warn(&format!(
        "channel `{channel}`: {known} values go on from the encoder's rows, {new} are new and begin at random, {gone} \
         of the encoder's are not in the dataset"
    ));
    Ok(())
}

/// Takes over the encoder's weights of `theirs`. Tables named `….table.<channel>` are those of a channel; the
/// other ones, and all parameters, have to have the same shapes.
fn take_over<D: TrainingDevice>(
    network: &mut Network<D>,
    theirs: &Network<D>,
    rows: &BTreeMap<String, Vec<Option<u32>>>,
) -> Result<(), TrainError> {
    let groups = WeightSet::Encoder.groups();
    let rows_of = |name: &str| {
        let (_, channel) = name.split_once(".table.")?;
        rows.get(channel)
    };
    let (parameters, tables) = network.parts_mut();
    let mut taken = Vec::new();
    for parameter in parameters
        .iter()
        .filter(|one| groups.contains(&one.group()))
    {
        let name = parameter.name();
        let Some(from) = theirs.parameters().by_name(name) else {
            return Err(TrainError::Encoder(format!("it has no weights `{name}`")));
        };
        let mut values = from.read();
        if let (Some(rows), [_, width]) = (rows_of(name), parameter.shape()) {
            values = take_rows(parameter.read(), &values, *width, rows);
        } else if from.shape() != parameter.shape() {
            return Err(TrainError::Encoder(format!(
                "its weights `{name}` are of shape {:?}, and {:?} here: their size comes from a vocabulary that has \
                 changed; prepare the dataset with that of the encoder as its input `fitted`",
                from.shape(),
                parameter.shape()
            )));
        }
        taken.push((name.to_owned(), values));
    }
    for (name, values) in taken {
        parameters.set(&name, &values)?;
    }
    for (table, from) in tables.into_iter().zip(theirs.tables()) {
        if !groups.contains(&table.group()) {
            continue;
        }
        let values = from.values()?;
        let values = match rows_of(table.name()) {
            Some(rows) => take_rows(table.values()?, &values, table.dim(), rows),
            None => values,
        };
        table.set_values(&values)?;
    }
    Ok(())
}

/// `own` with the rows that have a counterpart in `theirs`; both row-major with rows of `width`.
fn take_rows(mut own: Vec<f32>, theirs: &[f32], width: usize, rows: &[Option<u32>]) -> Vec<f32> {
    for (own, row) in own.chunks_exact_mut(width).zip(rows) {
        if let Some(row) = row {
            own.copy_from_slice(&theirs[*row as usize * width..][..width]);
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    struct Silent;

    impl Monitor for Silent {
        fn progress(&mut self, _: u64, _: u64, _: &str, _: Option<f64>) {}
        fn metric(&mut self, _: &str, _: f64, _: Option<u64>) {}
        fn warn(&mut self, _: &str) {}
        fn checkpoint_ready(&mut self, _: u64) {}
        fn stop_requested(&mut self) -> bool {
            false
        }
        fn checkpoint(&self) -> Option<&Path> {
            None
        }
    }

    fn vocabulary(values: &[&str]) -> Vocabulary {
        let counts = values.iter().rev().zip(1..);
        Vocabulary::from_counts(counts.map(|(value, count)| ((*value).to_owned(), count)), 1)
    }

    #[test]
    fn a_channel_without_one_value_of_the_encoder_is_refused() {
        let theirs = vocabulary(&["apple", "pear"]);
        let told = |ours: &[&str]| {
            let matched = matched(&theirs, &vocabulary(ours));
            told_rows("fruit", &theirs, &matched, &mut Silent).map_err(|error| error.to_string())
        };
        let refusal = "encoder: the codes of channel `fruit` stand for other values in the dataset, or for none: not one is \
                       the same";
        assert_eq!(told(&["fig", "plum"]), Err(refusal.to_owned()));
        assert_eq!(told(&[]), Err(refusal.to_owned()));
        assert_eq!(told(&["fig", "pear"]), Ok(()));
    }

    #[test]
    fn rows_are_matched_by_what_codes_stand_for() {
        let theirs = vocabulary(&["apple", "pear", "plum"]);
        let ours = vocabulary(&["fig", "plum", "apple"]);
        let rows = matched(&theirs, &ours);
        assert_eq!(rows, [Some(0), Some(1), Some(2), None, Some(5), Some(3)]);
        let theirs: Vec<f32> = (0..6).map(|row| row as f32).collect();
        let own = vec![10.0, 11.0, 12.0, 13.0, 14.0, 15.0];
        assert_eq!(
            take_rows(own, &theirs, 1, &rows),
            [0.0, 1.0, 2.0, 13.0, 5.0, 3.0]
        );
    }
}
