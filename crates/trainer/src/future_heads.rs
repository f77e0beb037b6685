//! Heads on the pooled representation that tell what follows a sample: whether the entity comes back, how
//! often, and the channels of the steps that follow.

use rand_chacha::ChaCha8Rng;
use supermoe_channels::SampleId;
use supermoe_nn::layers::Linear;
use supermoe_nn::{Device, Error, Group, Matrix, Scalar, TableRows, Tape, ops};

use crate::error::TrainError;
use crate::future::Future;
use crate::mcp_head::{Head, HeadBatch};
use crate::network::{Network, NetworkBuilder};
use crate::predicted_channel::PredictedChannel;
use crate::pretrain_params::SampledSoftmax;
use crate::weighting::{Likelihood, WeightedTask};

/// See the module.
pub struct FutureHeads<'a> {
    future: Future<'a>,
    /// By horizon: whether, and how often.
    whether: Vec<Linear>,
    how_often: Vec<Linear>,
    /// Of their losses.
    weight: f32,
    channels: Vec<PredictedChannel>,
    /// By channel.
    contents: Vec<Head>,
}

/// What the heads must tell of a batch.
pub struct FutureBatch {
    active: Vec<Vec<f32>>,
    visits: Vec<Vec<f32>>,
    contents: Vec<HeadBatch>,
}

/// One head, in the order of the tasks.
enum Task {
    Whether(usize),
    HowOften(usize),
    Content(usize),
}

impl<'a> FutureHeads<'a> {
    /// Makes the parameters, `heads.future.*`.
    pub fn new<D: Device>(
        (future, weight): (Future<'a>, f64),
        channels: &[PredictedChannel],
        sampled: &SampledSoftmax,
        d_model: usize,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<FutureHeads<'a>, TrainError> {
        let (mut whether, mut how_often) = (Vec::new(), Vec::new());
        for horizon in future.horizons() {
            let mut linear = |what: &str| {
                let name = format!("heads.future.{what}_{horizon}");
                Linear::new(builder.parameters, &name, Group::Towers, d_model, 1)
            };
            whether.push(linear("active")?);
            how_often.push(linear("visits")?);
        }
        let named = |channel: &PredictedChannel| PredictedChannel {
            name: format!("future.{}", channel.name),
            ..channel.clone()
        };
        let channels: Vec<PredictedChannel> = channels.iter().map(named).collect();
        let contents = channels.iter();
        Ok(FutureHeads {
            contents: contents
                .map(|channel| Head::new(channel, sampled, d_model, builder))
                .collect::<Result<_, TrainError>>()?,
            future,
            whether,
            how_often,
            weight: weight as f32,
            channels,
        })
    }

    /// The heads, as a weighting sees them.
    pub fn weighted_tasks(&self) -> Vec<WeightedTask> {
        let horizons = self.future.horizons().iter();
        let counts = horizons.flat_map(|horizon| {
            [
                ("active", Likelihood::Classes),
                ("visits", Likelihood::Numbers),
            ]
            .map(|(what, likelihood)| WeightedTask {
                name: format!("future.{what}_{horizon}"),
                likelihood,
            })
        });
        counts
            .chain(self.channels.iter().map(PredictedChannel::weighted_task))
            .collect()
    }

    /// What follows the samples; `random` draws the classes of sampled softmax.
    pub fn batch(&self, samples: &[SampleId], random: &mut ChaCha8Rng) -> FutureBatch {
        let following = self.future.following(samples, &self.channels);
        let contents = self.contents.iter().zip(following.values);
        FutureBatch {
            active: following.active,
            visits: following.visits,
            contents: contents
                .map(|(head, targets)| head.batch(targets, random))
                .collect(),
        }
    }

    /// The classes that the heads look up in tables of theirs.
    pub fn codes<'b>(&self, batch: &'b FutureBatch) -> Vec<&'b [u32]> {
        let heads = self.contents.iter().zip(&batch.contents);
        heads
            .filter_map(|(head, targets)| head.codes(targets))
            .collect()
    }

    /// The tasks that have something to tell in a batch, ascending.
    pub fn present(&self, batch: &FutureBatch) -> Vec<usize> {
        let known = |labels: &[f32]| labels.iter().any(|label| !label.is_nan());
        let tasks = 0..2 * self.whether.len() + self.contents.len();
        tasks
            .filter(|&task| match self.task(task) {
                Task::Whether(horizon) => known(&batch.active[horizon]),
                Task::HowOften(horizon) => known(&batch.visits[horizon]),
                Task::Content(channel) => !batch.contents[channel].rows.is_empty(),
            })
            .collect()
    }

    /// The loss of a task that is present, on the pooled representation [B, d].
    pub fn loss<D: Device, T: Tape<f32, D>>(
        &self,
        task: usize,
        network: &Network<D>,
        pooled: &Matrix<D>,
        tables: &[TableRows<D>],
        batch: &FutureBatch,
        tape: &mut T,
    ) -> Result<Scalar<D>, Error> {
        let losses = match self.task(task) {
            Task::Whether(horizon) => {
                let logits = self.whether[horizon].forward(network.parameters(), pooled, tape)?;
                ops::bce_with_logits(&logits, &batch.active[horizon], tape)?
            }
            Task::HowOften(horizon) => {
                let told = self.how_often[horizon].forward(network.parameters(), pooled, tape)?;
                ops::mse(&told, &batch.visits[horizon], tape)?
            }
            Task::Content(channel) => {
                let (head, targets) = (&self.contents[channel], &batch.contents[channel]);
                return head.loss(network, pooled, tables, targets, tape);
            }
        };
        ops::weighted_sum(&losses, &[self.weight], tape)
    }

    fn task(&self, task: usize) -> Task {
        let horizons = self.whether.len();
        match (task.checked_sub(2 * horizons), task % 2) {
            (Some(channel), _) => Task::Content(channel),
            (None, 0) => Task::Whether(task / 2),
            (None, _) => Task::HowOften(task / 2),
        }
    }
}
