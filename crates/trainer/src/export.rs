//! An export job: from dataset and encoder or model to embeddings and the encoder alone.

use std::path::Path;

use supermoe_channels::{Dataset, SampleId, Split};
use supermoe_nn::{Offsets, read};

use crate::embeddings::{EmbeddingsConfig, EmbeddingsWriter};
use crate::encoder_artifact::WEIGHTS_FILE;
use crate::error::TrainError;
use crate::evaluation::in_batches_of;
use crate::export_params::ExportParams;
use crate::model::{Encoded, Representation};
use crate::model_factory::{ModelFactory, TrainingDevice};
use crate::model_input::InputLayout;
use crate::monitor::Monitor;
use crate::network::{Network, WeightSet};
use crate::pooling::Pooling;
use crate::trained::{Artifact, samples_of};

/// Samples that are written at once; within them batches are of like lengths.
const BLOCK: usize = 8192;

/// What an export is given.
pub struct ExportJob<'a> {
    pub factories: &'a [ModelFactory],
    /// An encoder, or a model of which the encoder is taken.
    pub artifact: Artifact<'a>,
    pub params: ExportParams,
    pub dataset: &'a Dataset,
    /// A folder that exists.
    pub embeddings: &'a Path,
    /// A folder that exists.
    pub encoder: &'a Path,
}

/// Writes `embeddings` and `encoder`.
pub fn run<D: TrainingDevice>(
    job: &ExportJob,
    device: D,
    monitor: &mut dyn Monitor,
) -> Result<(), TrainError> {
    let (params, dataset) = (&job.params, job.dataset);
    let all = [Split::Train, Split::Valid, Split::Test, Split::Predict];
    let samples = samples_of(dataset, params.splits.as_deref().unwrap_or(&all))?;
    let trained = job.artifact.open(
        device,
        job.factories,
        dataset,
        WeightSet::Encoder,
        monitor,
        |_, _| Ok(()),
    )?;
    let mut config = trained.config;
    let embeddings = EmbeddingsConfig {
        model: config.model.clone(),
        revision: config.revision.clone(),
        d: config.d_model,
        pooling: params.pooling,
        rows: samples.len(),
    };
    let mut writer = EmbeddingsWriter::create(job.embeddings, &embeddings)?;
    let pass = Pass {
        network: &trained.network,
        layout: &trained.layout,
        dataset,
        model: &config.model,
        width: config.d_model,
        params,
    };
    let blocks = samples.chunks(BLOCK);
    let steps = blocks.len() as u64;
    for (done, block) in (0..).zip(blocks) {
        monitor.progress(done, steps, "embeddings", None);
        writer.append(dataset, block, pass.embed(block, monitor)?)?;
    }
    monitor.progress(steps, steps, "embeddings", None);
    writer.finish()?;
    // Towers and heads stay behind.
    config.tasks = Vec::new();
    config.pooling = Pooling::Max;
    config.write(job.encoder)?;
    dataset.write_fitted(job.encoder)?;
    trained
        .network
        .write(&job.encoder.join(WEIGHTS_FILE), WeightSet::Encoder)?;
    Ok(())
}

struct Pass<'a, D: TrainingDevice> {
    network: &'a Network<D>,
    layout: &'a InputLayout,
    dataset: &'a Dataset,
    /// Its name.
    model: &'a str,
    /// d
    width: usize,
    params: &'a ExportParams,
}

impl<D: TrainingDevice> Pass<'_, D> {
    /// Row-major [samples, d].
    fn embed(
        &self,
        samples: &[SampleId],
        monitor: &mut dyn Monitor,
    ) -> Result<Vec<f32>, TrainError> {
        let mut values = vec![0.0; samples.len() * self.width];
        let size = self.params.batch_size;
        in_batches_of(size, self.dataset, samples, monitor, |batch| {
            let input = self.layout.input(&self.dataset.pack(&batch.samples), &[])?;
            let given = Given::of(&self.network.infer(&input)?, self.model)?;
            for (sequence, &row) in batch.rows.iter().enumerate() {
                let embedding = &mut values[row * self.width..][..self.width];
                match &given {
                    Given::Steps(hidden) => {
                        let steps = steps_of(hidden, self.width, &input.offsets, sequence);
                        pool(steps, embedding, self.params.pooling);
                    }
                    Given::Samples(samples) => {
                        embedding.copy_from_slice(&samples[sequence * self.width..][..self.width])
                    }
                }
                if embedding.iter().any(|value| !value.is_finite()) {
                    let entity = self.dataset.entity(samples[row]);
                    return Err(TrainError::ScoreNotFinite {
                        what: format!("the embedding of entity {entity}"),
                    });
                }
            }
            Ok(())
        })?;
        Ok(values)
    }
}

/// What a model gives, in host memory.
enum Given {
    /// [N, d], to be pooled.
    Steps(Vec<f32>),
    /// [B, d]
    Samples(Vec<f32>),
}

impl Given {
    fn of<D: TrainingDevice>(encoded: &Encoded<D>, model: &str) -> Result<Given, TrainError> {
        match &encoded.representation {
            Representation::Steps(steps) => Ok(Given::Steps(read(steps))),
            Representation::Samples(samples) => Ok(Given::Samples(read(samples))),
            Representation::Tasks(_) => Err(TrainError::Unsupported(format!(
                "the model `{model}` has a representation for each task and none for all: there is no \
                 embedding of a sample to export"
            ))),
        }
    }
}

/// The rows of one sequence of `hidden` [N, d].
fn steps_of<'h>(hidden: &'h [f32], width: usize, offsets: &Offsets, sequence: usize) -> &'h [f32] {
    let rows = offsets.range(sequence);
    &hidden[rows.start * width..rows.end * width]
}

/// `steps` is row-major [T, d], T at least 1; `embedding` is [d].
fn pool(steps: &[f32], embedding: &mut [f32], pooling: Pooling) {
    let width = embedding.len();
    let rows = steps.chunks_exact(width);
    match pooling {
        Pooling::Last => {
            if let Some(last) = rows.last() {
                embedding.copy_from_slice(last);
            }
        }
        Pooling::Max => {
            embedding.fill(f32::NEG_INFINITY);
            // NaN stays, and is told by who looks at the embedding.
            let larger = |a: f32, b: f32| if b > a || b.is_nan() { b } else { a };
            for row in rows {
                let pairs = embedding.iter_mut().zip(row);
                pairs.for_each(|(most, value)| *most = larger(*most, *value));
            }
        }
        Pooling::Mean => {
            let count = rows.len() as f64;
            for (column, mean) in embedding.iter_mut().enumerate() {
                let sum: f64 = rows.clone().map(|row| f64::from(row[column])).sum();
                *mean = (sum / count) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_pooled_column_by_column() {
        let steps = [1.0, -4.0, 3.0, -2.0, 2.0, -3.0];
        let pooled = |pooling| {
            let mut embedding = [0.0; 2];
            pool(&steps, &mut embedding, pooling);
            embedding
        };
        assert_eq!(pooled(Pooling::Max), [3.0, -2.0]);
        assert_eq!(pooled(Pooling::Mean), [2.0, -3.0]);
        assert_eq!(pooled(Pooling::Last), [2.0, -3.0]);
    }

    #[test]
    fn what_is_no_number_is_not_lost() {
        let mut embedding = [0.0];
        for steps in [[f32::NAN, 1.0], [1.0, f32::NAN]] {
            pool(&steps, &mut embedding, Pooling::Mean);
            assert!(embedding[0].is_nan());
            pool(&steps, &mut embedding, Pooling::Max);
            assert!(embedding[0].is_nan(), "{steps:?}");
        }
    }
}
