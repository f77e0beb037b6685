//! Masked channel prediction's learning side: a head for every predicted channel (eq. 1 to 3).

use rand_chacha::ChaCha8Rng;
use supermoe_channels::{Dataset, SampleId};
use supermoe_nn::{Device, OwnedTape};

use crate::error::TrainError;
use crate::evaluation::in_batches;
use crate::future::Future;
use crate::future_heads::{FutureBatch, FutureHeads};
use crate::masking::Masking;
use crate::mcp_head::{Head, HeadBatch};
use crate::mcp_tally::Tally;
use crate::model::AuxiliaryLoss;
use crate::model_input::{InputLayout, ModelInput};
use crate::monitor::Monitor;
use crate::network::{Network, NetworkBuilder};
use crate::objective::{Evaluation, Objective, Pass, StepLoss};
use crate::pooling::Pooling;
use crate::predicted_channel::PredictedChannel;
use crate::pretrain_params::{FutureParams, SampledSoftmax};
use crate::random::{Purpose, stream};
use crate::weighting::WeightedTask;

/// The objective of pre-training.
pub struct MaskedChannelPrediction<'a> {
    dataset: &'a Dataset,
    masking: Masking,
    layout: InputLayout,
    heads: Vec<Head>,
    future: Option<FutureHeads<'a>>,
    pooling: Pooling,
    /// Of the predicted channels, then of the heads of the future.
    names: Vec<String>,
    seed: u64,
    /// What is measured after an epoch.
    valid: Vec<SampleId>,
}

/// A masked batch, ready for the model.
pub struct McpBatch {
    input: ModelInput,
    /// By head.
    targets: Vec<HeadBatch>,
    /// In training alone: nothing of the future is measured on validation.
    future: Option<FutureBatch>,
}

/// What masked channel prediction is told besides the data.
pub struct McpOptions {
    pub masking: Masking,
    pub sampled_softmax: SampledSoftmax,
    pub d_model: usize,
    pub seed: u64,
    pub future: Option<FutureParams>,
    /// Of the sequence, for the heads of the future.
    pub pooling: Pooling,
    pub valid: Vec<SampleId>,
}

impl<'a> MaskedChannelPrediction<'a> {
    /// Makes the heads.
    pub fn new<D: Device>(
        dataset: &'a Dataset,
        layout: InputLayout,
        options: McpOptions,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<MaskedChannelPrediction<'a>, TrainError> {
        let (d_model, sampled) = (options.d_model, &options.sampled_softmax);
        let channels = options.masking.channels.iter();
        let heads = channels
            .map(|channel| Head::new(channel, sampled, d_model, builder))
            .collect::<Result<_, TrainError>>()?;
        let future = match &options.future {
            None => None,
            Some(params) => {
                let future = (Future::new(dataset, params)?, params.weight);
                let channels = &options.masking.channels;
                let heads = FutureHeads::new(future, channels, sampled, d_model, builder)?;
                Some(heads)
            }
        };
        let tasks = weighted_tasks(&options.masking.channels, future.as_ref());
        Ok(MaskedChannelPrediction {
            dataset,
            names: tasks.into_iter().map(|task| task.name).collect(),
            future,
            pooling: options.pooling,
            masking: options.masking,
            layout,
            heads,
            seed: options.seed,
            valid: options.valid,
        })
    }

    /// What is told, as a weighting sees it.
    pub fn weighted_tasks(&self) -> Vec<WeightedTask> {
        weighted_tasks(&self.masking.channels, self.future.as_ref())
    }

    fn masked(
        &self,
        samples: &[SampleId],
        random: &mut ChaCha8Rng,
    ) -> Result<McpBatch, TrainError> {
        let masked = self.masking.apply(self.dataset.pack(samples), random);
        let targets = self.heads.iter().zip(masked.targets);
        Ok(McpBatch {
            input: self.layout.input(&masked.batch, &masked.hidden)?,
            targets: targets
                .map(|(head, targets)| head.batch(targets, random))
                .collect(),
            future: None,
        })
    }

    fn evaluation(&self, tallies: &[Tally]) -> Result<Evaluation, TrainError> {
        let mut evaluation = Evaluation::default();
        for (channel, tally) in self.masking.channels.iter().zip(tallies) {
            if tally.loss().is_some_and(|loss| !loss.is_finite()) {
                let what = format!("the loss of {} on validation", channel.name);
                return Err(TrainError::ScoreNotFinite { what });
            }
            let named = |(what, value)| (format!("valid/{}/{what}", channel.name), value);
            evaluation
                .metrics
                .extend(tally.metrics().into_iter().map(named));
        }
        let losses: Vec<f64> = tallies.iter().filter_map(Tally::loss).collect();
        if !losses.is_empty() {
            let total: f64 = losses.iter().sum();
            evaluation.metrics.push(("valid/loss".to_owned(), total));
            evaluation.score = Some(-total);
        }
        Ok(evaluation)
    }
}

fn weighted_tasks(
    channels: &[PredictedChannel],
    future: Option<&FutureHeads<'_>>,
) -> Vec<WeightedTask> {
    let channels = channels.iter().map(PredictedChannel::weighted_task);
    let future = future.map(FutureHeads::weighted_tasks);
    channels.chain(future.into_iter().flatten()).collect()
}

impl<D: Device> Objective<D> for MaskedChannelPrediction<'_> {
    type Batch = McpBatch;

    fn collate(&self, samples: &[SampleId], epoch: u64, step: u64) -> Result<McpBatch, TrainError> {
        let mut random = stream(self.seed, Purpose::Mask, epoch, step);
        let mut batch = self.masked(samples, &mut random)?;
        let future = self.future.as_ref();
        batch.future = future.map(|heads| heads.batch(samples, &mut random));
        Ok(batch)
    }

    fn input<'b>(&self, batch: &'b McpBatch) -> &'b ModelInput {
        &batch.input
    }

    fn head_codes<'b>(&self, batch: &'b McpBatch) -> Vec<&'b [u32]> {
        let heads = self.heads.iter().zip(&batch.targets);
        let future = self.future.iter().zip(&batch.future);
        heads
            .filter_map(|(head, targets)| head.codes(targets))
            .chain(future.flat_map(|(heads, future)| heads.codes(future)))
            .collect()
    }

    fn task_names(&self) -> &[String] {
        &self.names
    }

    fn present(&self, batch: &McpBatch) -> Vec<usize> {
        let targets = batch.targets.iter().enumerate();
        let present = targets.filter(|(_, targets)| !targets.rows.is_empty());
        let future = self.future.iter().zip(&batch.future);
        let future = future.flat_map(|(heads, future)| heads.present(future));
        let first = self.heads.len();
        present
            .map(|(head, _)| head)
            .chain(future.map(|task| first + task))
            .collect()
    }

    fn loss(
        &self,
        pass: &Pass<'_, D, McpBatch>,
        tasks: &[usize],
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Option<StepLoss<D>>, TrainError> {
        if tasks.is_empty() {
            return Ok(None);
        }
        let Pass {
            network,
            rows,
            batch,
            mode,
        } = *pass;
        let encoded = network.train(&batch.input, rows, mode, tape)?;
        let steps = encoded.steps()?;
        let mut losses = Vec::with_capacity(tasks.len());
        let first = self.heads.len();
        let pooled = match tasks.last() {
            Some(&last) if last >= first => {
                Some(self.pooling.apply(steps, &batch.input.offsets, tape)?)
            }
            _ => None,
        };
        for &task in tasks {
            if let (Some(of_future), Some(heads), Some(future), Some(pooled)) = (
                task.checked_sub(first),
                &self.future,
                &batch.future,
                &pooled,
            ) {
                let loss = heads.loss(of_future, network, pooled, &rows.heads, future, tape)?;
                losses.push((task, loss));
                continue;
            }
            let (head, targets) = (&self.heads[task], &batch.targets[task]);
            let loss = head.loss(network, steps, &rows.heads, targets, tape)?;
            losses.push((task, loss));
        }
        let others = encoded.auxiliary.into_iter().map(AuxiliaryLoss::other);
        Ok(Some(StepLoss {
            tasks: losses,
            others: others.collect(),
            expert_rows: encoded.expert_rows,
        }))
    }

    fn evaluate(
        &self,
        network: &Network<D>,
        monitor: &mut dyn Monitor,
    ) -> Result<Evaluation, TrainError> {
        let mut tallies = vec![Tally::default(); self.heads.len()];
        in_batches(self.dataset, &self.valid, monitor, |batch| {
            // The same masks in every epoch, so that epochs can be compared.
            let mut random = stream(self.seed, Purpose::ValidationMask, 0, batch.number);
            let batch = self.masked(&batch.samples, &mut random)?;
            let encoded = network.infer(&batch.input)?;
            let steps = encoded.steps()?;
            let heads = self.heads.iter().zip(&batch.targets).zip(&mut tallies);
            for ((head, targets), tally) in heads {
                if !targets.rows.is_empty() {
                    head.measure(network, steps, targets, tally)?;
                }
            }
            Ok(())
        })?;
        self.evaluation(&tallies)
    }
}
