//! The training loop: batches packed ahead, steps, validation after each epoch, checkpoints, an
//! exact return to where it was.

use std::time::{Duration, Instant};

use supermoe_channels::{Dataset, SampleId};
use supermoe_nn::Device;
use supermoe_nn::optim::AdamW;

use crate::batch_order::training_order;
use crate::checkpoint::{self, Learned, Position, Progress};
use crate::early_stopping::EarlyStopping;
use crate::error::TrainError;
use crate::history::History;
use crate::monitor::Monitor;
use crate::network::Network;
use crate::objective::Objective;
use crate::prefetch::prefetch;
use crate::schedule::Schedule;
use crate::training_params::{Keep, TrainingParams};
use crate::weighting::{StepPlace, TrainingStep, Weighted, Weighting};

/// The metric of every step that has anything to learn from.
const LOSS: &str = "train/loss";
/// Steps whose metrics are averaged into one record.
const WINDOW_STEPS: u64 = 20;

/// How to train.
pub struct FitOptions<'a> {
    pub seed: u64,
    pub params: &'a TrainingParams,
    /// Stands for params and inputs: a checkpoint of another job is not taken.
    pub job: String,
}

/// Trains `network` on `samples`; in the end it has the weights of the epoch that is to be kept.
///
/// # Errors
/// A loss or gradient that is no finite number, a stop that was asked for (after a checkpoint), what
/// the objective or the device says.
pub fn fit<D: Device, O: Objective<D>>(
    network: &mut Network<D>,
    objective: &O,
    weighting: Weighting,
    dataset: &Dataset,
    samples: &[SampleId],
    options: &FitOptions,
    monitor: &mut dyn Monitor,
) -> Result<History, TrainError> {
    let lengths: Vec<u32> = samples
        .iter()
        .map(|&sample| dataset.tokens(sample) as u32)
        .collect();
    let params = options.params;
    let steps_per_epoch = samples.len().div_ceil(params.batch_size) as u64;
    let total_steps = steps_per_epoch
        .saturating_mul(params.epochs)
        .min(params.max_steps.unwrap_or(u64::MAX));
    let mut run = Run {
        network,
        objective,
        weighting,
        options,
        optimizer: AdamW::new(params.optimizer.config()),
        schedule: Schedule {
            warmup_steps: params.optimizer.warmup_steps,
            total_steps,
            decay: params.optimizer.decay,
        },
        progress: Progress::default(),
        early: EarlyStopping::new(params.patience),
        saved: Instant::now(),
    };
    run.resume(monitor)?;
    if run.progress.position.step == 0 {
        warn_of_short_run(total_steps, params.optimizer.warmup_steps, monitor);
    }
    while !run.progress.position.finished {
        run.epoch(samples, &lengths, monitor)?;
        run.end_epoch(monitor)?;
    }
    Ok(run.progress.history)
}

/// The full learning rate is then reached late or never.
fn warn_of_short_run(total_steps: u64, warmup_steps: u64, monitor: &mut dyn Monitor) {
    if total_steps >= warmup_steps.saturating_mul(2) {
        return;
    }
    let what = if total_steps <= warmup_steps {
        "training ends within the warm-up, before the full learning rate has been used"
    } else {
        "more than half of the training is warm-up"
    };
    monitor.warn(&format!(
        "{what}: {total_steps} steps in all, `optimizer.warmup_steps` is {warmup_steps}; lower \
         `optimizer.warmup_steps`, or train longer (`epochs`, `max_steps`)"
    ));
}

/// What looks at validation then looks at nothing.
fn warn_without_score(params: &TrainingParams, monitor: &mut dyn Monitor) {
    let idle = match (params.patience.is_some(), params.keep == Keep::Best) {
        (true, true) => {
            "`patience` stops nothing, and `keep: best` keeps the weights of the last epoch"
        }
        (true, false) => "`patience` stops nothing",
        (false, true) => "`keep: best` keeps the weights of the last epoch",
        (false, false) => return,
    };
    monitor.warn(&format!(
        "{idle}: nothing could be measured on validation after the first epoch; give `prepare` a validation split whose \
         labels differ (`splits.valid`)"
    ));
}

/// The mean of no weights: those of the end stay.
fn warn_without_average(
    params: &TrainingParams,
    step: u64,
    total_steps: u64,
    monitor: &mut dyn Monitor,
) {
    let first = (1..=total_steps).find(|step| params.average.takes(*step, total_steps));
    monitor.warn(&format!(
        "`keep: average` kept the last weights: `patience` ended training after step {step} of {total_steps}, before the \
         first weights were to be taken (step {}); lower `average.from` or `average.every`, or give more `patience`",
        first.unwrap_or(total_steps)
    ));
}

/// A training run under way.
struct Run<'a, D: Device, O> {
    network: &'a mut Network<D>,
    objective: &'a O,
    weighting: Weighting,
    options: &'a FitOptions<'a>,
    optimizer: AdamW,
    schedule: Schedule,
    progress: Progress,
    early: EarlyStopping,
    /// When the last checkpoint was saved.
    saved: Instant,
}

/// A batch on its way from the packing thread.
struct Packed<B> {
    batch: B,
    sequences: u64,
    tokens: u64,
}

impl<D: Device, O: Objective<D>> Run<'_, D, O> {
    /// Takes up a checkpoint where there is one.
    fn resume(&mut self, monitor: &mut dyn Monitor) -> Result<(), TrainError> {
        let Some(folder) = monitor.checkpoint() else {
            return Ok(());
        };
        let learned = Learned {
            network: self.network,
            optimizer: &mut self.optimizer,
            weighting: &mut self.weighting,
        };
        match checkpoint::load(folder, &self.options.job, learned) {
            Ok(None) => {}
            Ok(Some(progress)) => {
                self.early =
                    EarlyStopping::resume(self.options.params.patience, progress.best_score);
                self.progress = progress;
            }
            Err(problem) => {
                monitor.warn(&format!(
                    "the checkpoint cannot be used, so training begins anew: {problem}"
                ));
            }
        }
        Ok(())
    }

    /// The steps that are left of the current epoch.
    fn epoch(
        &mut self,
        samples: &[SampleId],
        lengths: &[u32],
        monitor: &mut dyn Monitor,
    ) -> Result<(), TrainError> {
        let Position {
            epoch,
            batch: first,
            step: first_step,
            ..
        } = self.progress.position;
        let batches = training_order(
            lengths,
            self.options.params.batch_size,
            self.options.seed,
            epoch,
        );
        let left = self.schedule.total_steps - first_step;
        let left = batches
            .into_iter()
            .skip(first as usize)
            .take(left as usize)
            .zip(first_step..);
        let (began, mut sequences, mut tokens) = (Instant::now(), 0, 0);
        let objective = self.objective;
        prefetch(
            left,
            |(batch, step)| {
                let ids: Vec<SampleId> = batch.iter().map(|&sample| samples[sample]).collect();
                let tokens = batch.iter().map(|&sample| u64::from(lengths[sample])).sum();
                objective.collate(&ids, epoch, step).map(|batch| Packed {
                    batch,
                    sequences: ids.len() as u64,
                    tokens,
                })
            },
            |packed| {
                let packed = packed?;
                let loss = self.step(&packed.batch)?;
                sequences += packed.sequences;
                tokens += packed.tokens;
                self.after_step(loss, monitor)
            },
        )?;
        let seconds = began.elapsed().as_secs_f64();
        if sequences > 0 && seconds > 0.0 {
            // For people: these stand in no artifact.
            monitor.metric("sequences_per_second", sequences as f64 / seconds, None);
            monitor.metric("tokens_per_second", tokens as f64 / seconds, None);
        }
        Ok(())
    }

    /// Forward, backward, update. Gives the loss, if the batch had anything to learn from.
    fn step(&mut self, batch: &O::Batch) -> Result<Option<f32>, TrainError> {
        let Position { epoch, step, .. } = self.progress.position;
        let codes = self.objective.head_codes(batch);
        let rows = self.network.gather(self.objective.input(batch), &codes)?;
        self.network.release()?;
        let optimizer = &self.options.params.optimizer;
        let rate = optimizer.learning_rate * self.schedule.factor(step);
        let rates = optimizer.learning_rates(rate, self.objective.encoder_learns(epoch));
        let Some(weighted) = self.weighting.step(&mut TrainingStep {
            network: self.network,
            objective: self.objective,
            batch,
            rows: &rows,
            rates,
            at: StepPlace {
                seed: self.options.seed,
                epoch,
                step,
            },
        })?
        else {
            return Ok(None);
        };
        let gradients = &weighted.descent.gradients;
        let (parameters, mut tables) = self.network.parts(&rows);
        let update = self
            .optimizer
            .apply(parameters, gradients, &mut tables, &rates)
            .map_err(|source| TrainError::Step {
                step: step + 1,
                epoch: epoch + 1,
                source,
            })?;
        let history = &mut self.progress.history;
        history.add("train/gradient_norm", update.gradient_norm);
        history.add("train/learning_rate", rate);
        self.tell(&weighted);
        Ok(Some(weighted.descent.loss))
    }

    /// Notes the losses of a step, and what its weighting says.
    fn tell(&mut self, weighted: &Weighted) {
        let Weighted { descent, metrics } = weighted;
        let history = &mut self.progress.history;
        history.add(LOSS, f64::from(descent.loss));
        let names = self.objective.task_names();
        let tasks = descent.task_losses.iter();
        let tasks = tasks.map(|(task, loss)| (&names[*task], *loss));
        let others = descent.other_losses.iter();
        for (name, loss) in tasks.chain(others.map(|(name, loss)| (name, *loss))) {
            history.add(&format!("train/{name}/loss"), f64::from(loss));
        }
        for (name, value) in metrics {
            history.add(name, *value);
        }
        for rows in &descent.expert_rows {
            history.add_expert_rows(rows);
        }
    }

    fn after_step(
        &mut self,
        loss: Option<f32>,
        monitor: &mut dyn Monitor,
    ) -> Result<(), TrainError> {
        let position = &mut self.progress.position;
        position.step += 1;
        position.batch += 1;
        let (step, epoch, total) = (position.step, position.epoch + 1, self.schedule.total_steps);
        monitor.progress(
            step,
            total,
            &format!("epoch {epoch} of {}", self.options.params.epochs),
            loss.map(f64::from),
        );
        self.average()?;
        if step.is_multiple_of(WINDOW_STEPS) {
            self.close_window(monitor);
        }
        let stop = monitor.stop_requested();
        if stop
            || step.is_multiple_of(self.options.params.checkpoint_every)
            || self.saved.elapsed() >= Duration::from_secs(self.options.params.checkpoint_seconds)
        {
            self.save(monitor)?;
        }
        if stop {
            Err(TrainError::Stopped { step })
        } else {
            Ok(())
        }
    }

    /// With `keep: average`, takes the weights of now into the mean if it is their turn.
    fn average(&mut self) -> Result<(), TrainError> {
        let TrainingParams { keep, average, .. } = self.options.params;
        let step = self.progress.position.step;
        if *keep != Keep::Average || !average.takes(step, self.schedule.total_steps) {
            return Ok(());
        }
        self.network.settle()?;
        self.progress.averaged += 1;
        match &mut self.progress.kept {
            Some(mean) => self
                .network
                .move_snapshot(mean, 1.0 / self.progress.averaged as f32)?,
            empty => *empty = Some(self.network.snapshot()?),
        }
        Ok(())
    }

    /// Measures, keeps the weights if they are the best and that is asked for, and sees whether that was the last epoch.
    fn end_epoch(&mut self, monitor: &mut dyn Monitor) -> Result<(), TrainError> {
        self.close_window(monitor);
        self.network.settle()?;
        let Position { epoch, step, .. } = self.progress.position;
        monitor.progress(
            step,
            self.schedule.total_steps,
            &format!("validation after epoch {}", epoch + 1),
            None,
        );
        let evaluation = match self.objective.evaluate(self.network, monitor) {
            Err(TrainError::Stopped { .. }) => {
                self.save(monitor)?;
                return Err(TrainError::Stopped { step });
            }
            other => other?,
        };
        for (name, value) in &evaluation.metrics {
            self.progress.history.record(step, epoch + 1, name, *value);
            monitor.metric(name, *value, Some(step));
        }
        if epoch == 0 && evaluation.score.is_none() {
            warn_without_score(self.options.params, monitor);
        }
        self.weighting.end_epoch();
        let verdict = self.early.epoch(epoch, evaluation.score);
        self.progress.best_score = self.early.best();
        if verdict.best && self.options.params.keep == Keep::Best {
            self.progress.kept = Some(self.network.snapshot()?);
        }
        let position = &mut self.progress.position;
        position.epoch += 1;
        position.batch = 0;
        position.finished = verdict.stop
            || position.epoch >= self.options.params.epochs
            || position.step >= self.schedule.total_steps;
        if position.finished && !self.progress.history.has(LOSS) {
            return Err(TrainError::NothingLearned { steps: step });
        }
        let stopped_early = verdict.stop && step < self.schedule.total_steps;
        if position.finished {
            match self.progress.kept.take() {
                Some(kept) => self.network.restore(&kept)?,
                None if self.options.params.keep == Keep::Average && stopped_early => {
                    warn_without_average(
                        self.options.params,
                        step,
                        self.schedule.total_steps,
                        monitor,
                    );
                }
                None => {}
            }
        }
        self.save(monitor)
    }

    fn close_window(&mut self, monitor: &mut dyn Monitor) {
        let Position { step, epoch, .. } = self.progress.position;
        for record in self.progress.history.close_window(step, epoch + 1) {
            monitor.metric(&record.name, record.value, Some(step));
        }
    }

    fn save(&mut self, monitor: &mut dyn Monitor) -> Result<(), TrainError> {
        let Some(folder) = monitor.checkpoint() else {
            return Ok(());
        };
        checkpoint::save(
            folder,
            &self.options.job,
            &self.progress,
            Learned {
                network: self.network,
                optimizer: &mut self.optimizer,
                weighting: &mut self.weighting,
            },
        )?;
        self.saved = Instant::now();
        monitor.checkpoint_ready(self.progress.position.step);
        Ok(())
    }
}
