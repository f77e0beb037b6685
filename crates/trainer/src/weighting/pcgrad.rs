//! PCGrad (Yu et al. 2020): where the gradients of two tasks conflict, each loses its part against the
//! other.
//!
//! The loss of a task is its share of the whole: its own one times the unit, and its part of the losses
//! that no weighting touches. Its gradient needs a pass of its own, since a tape runs backward once: a
//! step costs as many passes as the batch has tasks, all with the same dropout.

use rand_chacha::ChaCha8Rng;
use supermoe_nn::optim::HostGradients;
use supermoe_nn::{Device, Group};

use super::descent::{Descent, SHARED, TrainingStep, Weighing};
use crate::error::TrainError;
use crate::objective::Objective;
use crate::random::{Purpose, shuffle, stream};

/// The sum of the projected gradients of a batch's tasks, and which share of the pairs of tasks
/// conflicted.
pub fn descend<D: Device, O: Objective<D>>(
    step: &TrainingStep<'_, D, O>,
    tasks: &[usize],
    unit: f32,
) -> Result<Option<(Descent, f64)>, TrainError> {
    let weighing = Weighing {
        factor: &|_| unit,
        others: 1.0 / tasks.len() as f32,
    };
    let mut descents = Vec::with_capacity(tasks.len());
    for &task in tasks {
        descents.extend(step.descend(&[task], &weighing, |_, _| Ok(None))?);
    }
    let at = step.at;
    let mut random = stream(at.seed, Purpose::Projection, at.epoch, at.step);
    let gradients: Vec<_> = descents.iter().map(|of| &of.gradients).collect();
    let (sum, conflicts) = project(&gradients, &mut random);
    Ok(sum.and_then(|sum| Some((joined(descents, sum)?, conflicts))))
}

/// One descent of those of single tasks.
fn joined(descents: Vec<Descent>, gradients: HostGradients) -> Option<Descent> {
    let loss = descents.iter().map(|of| of.loss).sum();
    let task_losses = descents
        .iter()
        .flat_map(|of| of.task_losses.clone())
        .collect();
    // Each pass saw the same batch with the same dropout: experts and other losses are the same.
    let first = descents.into_iter().next()?;
    Some(Descent {
        gradients,
        loss,
        task_losses,
        ..first
    })
}

/// The sum over i of gradient i after it was projected on the normal planes of those others, in random
/// order, that it conflicts with at that moment; and the share of pairs that conflict at first.
fn project(gradients: &[&HostGradients], random: &mut ChaCha8Rng) -> (Option<HostGradients>, f64) {
    let all = [SHARED.as_slice(), &[Group::Towers]].concat();
    let squares: Vec<f64> = gradients.iter().map(|of| of.dot(of, &SHARED)).collect();
    let (mut sum, mut conflicts): (Option<HostGradients>, usize) = (None, 0);
    for (i, &gradient) in gradients.iter().enumerate() {
        let mut others: Vec<usize> = (0..gradients.len()).filter(|j| *j != i).collect();
        shuffle(&mut others, random);
        let mut projected = gradient.clone();
        for j in others {
            conflicts += usize::from(gradient.dot(gradients[j], &SHARED) < 0.0);
            project_on(&mut projected, gradients[j], squares[j]);
        }
        match &mut sum {
            Some(sum) => sum.add_scaled(&projected, 1.0, &all),
            None => sum = Some(projected),
        }
    }
    let pairs = gradients.len() * gradients.len().saturating_sub(1);
    (sum, conflicts as f64 / pairs.max(1) as f64)
}

/// Takes the part against `other`, whose squared norm is given, out of a gradient that conflicts with it.
fn project_on(gradient: &mut HostGradients, other: &HostGradients, square: f64) {
    let product = gradient.dot(other, &SHARED);
    if product < 0.0 && square > 0.0 {
        gradient.add_scaled(other, (-product / square) as f32, &SHARED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::unit;

    fn gradient(shared: &[f32], tower: &[f32]) -> HostGradients {
        HostGradients::of_parameters(vec![
            (Group::Encoder, shared.to_vec()),
            (Group::Towers, tower.to_vec()),
        ])
    }

    fn values(of: &HostGradients) -> Vec<Vec<f32>> {
        of.parameters().flatten().map(<[f32]>::to_vec).collect()
    }

    fn random() -> ChaCha8Rng {
        stream(1, Purpose::Projection, 0, 0)
    }

    #[test]
    fn two_gradients_by_hand() {
        // Their product is -2: a + 2/4 b and b + 2/2 a; towers are added as they are.
        let a = gradient(&[1.0, 1.0], &[1.0, 0.0]);
        let b = gradient(&[-2.0, 0.0], &[0.0, 3.0]);
        let (sum, conflicts) = project(&[&a, &b], &mut random());
        assert_eq!(values(&sum.unwrap()), [[0.0 + -1.0, 1.0 + 1.0], [1.0, 3.0]]);
        assert_eq!(conflicts, 1.0);
    }

    #[test]
    fn gradients_that_agree_are_added() {
        let (a, b) = (gradient(&[1.0, 0.0], &[]), gradient(&[1.0, 2.0], &[]));
        let (sum, conflicts) = project(&[&a, &b], &mut random());
        assert_eq!(values(&sum.unwrap()), [vec![2.0, 2.0], vec![]]);
        assert_eq!(conflicts, 0.0);
        let (alone, conflicts) = project(&[&a], &mut random());
        assert_eq!((alone, conflicts), (Some(a), 0.0));
        assert_eq!(project(&[], &mut random()), (None, 0.0));
    }

    /// For many random gradients of several tasks: what was projected no longer conflicts with what it
    /// was projected on, and keeps its product with what it agreed with.
    #[test]
    fn a_projected_gradient_does_not_conflict_with_what_it_was_projected_on() {
        let mut draw = stream(2, Purpose::Order, 0, 0);
        for case in 0..500 {
            let length = 1 + case % 7;
            let mut vector = || {
                let values = (0..length).map(|_| 2.0 * unit(&mut draw) - 1.0);
                gradient(&values.collect::<Vec<f32>>(), &[])
            };
            let (a, b) = (vector(), vector());
            let square = b.dot(&b, &SHARED);
            let before = a.dot(&b, &SHARED);
            let mut projected = a.clone();
            project_on(&mut projected, &b, square);
            let after = projected.dot(&b, &SHARED);
            assert!(after >= -1e-5, "{after}");
            if before >= 0.0 {
                assert_eq!(projected, a);
            } else {
                assert!(after.abs() < 1e-5, "{after}");
            }
            // Of two tasks alone, neither conflicts with the other any more.
            let mut other = b.clone();
            project_on(&mut other, &a, a.dot(&a, &SHARED));
            assert!(other.dot(&a, &SHARED) >= -1e-5);
            let (sum, _) = project(&[&a, &b], &mut random());
            let sum = sum.unwrap();
            assert!(sum.dot(&a, &SHARED) >= -1e-5 && sum.dot(&b, &SHARED) >= -1e-5);
        }
    }
}
