//! How badly towers rank a batch, differentiable: a hinge surrogate of 1 - AUC.

use supermoe_channels::{Task, TaskKind};
use supermoe_nn::{Device, Error, Matrix, Scalar, Tape, ops};

use super::halves::can_be_ranked;

/// The mean over the tasks of the mean over their pairs of max(0, 1 - (f(x+) - f(x-))): x+ is of class 1
/// of a binary task, of the higher label of a regression task; of a multiclass task it is the mean over
/// the classes of each against the rest. `given` are the towers' outputs [B, outputs], `labels` by task,
/// NaN where there is none. Tasks and classes without a pair take no part; `None` where that is all.
pub fn ranking_loss<D: Device, T: Tape<f32, D>>(
    device: &D,
    tasks: &[Task],
    given: &[Matrix<D>],
    labels: &[Vec<f32>],
    tape: &mut T,
) -> Result<Option<Scalar<D>>, Error> {
    let mut losses = Vec::new();
    for ((task, given), labels) in tasks.iter().zip(given).zip(labels) {
        let columns = columns(task, labels);
        let ranked: Vec<bool> = columns.iter().map(|column| can_be_ranked(column)).collect();
        let count = ranked.iter().filter(|ranked| **ranked).count();
        if count == 0 {
            continue;
        }
        let hinges = ops::pairwise_hinge(given, &row_major(&columns), tape)?;
        let weight = |&ranked: &bool| if ranked { 1.0 / count as f32 } else { 0.0 };
        let weights: Vec<f32> = ranked.iter().map(weight).collect();
        losses.push(ops::weighted_sum(&hinges, &weights, tape)?);
    }
    if losses.is_empty() {
        return Ok(None);
    }
    let weight = 1.0 / losses.len() as f32;
    let terms: Vec<_> = losses.iter().map(|loss| (loss, weight)).collect();
    Ok(Some(ops::sum(device, &terms, tape)?))
}

/// What each output of a task is ranked by.
fn columns(task: &Task, labels: &[f32]) -> Vec<Vec<f32>> {
    match task.kind {
        TaskKind::Binary | TaskKind::Regression => vec![labels.to_vec()],
        TaskKind::Multiclass => {
            let against_rest = |class: usize| {
                let label = |&label: &f32| match label.is_nan() {
                    true => label,
                    false => f32::from(label == class as f32),
                };
                labels.iter().map(label).collect()
            };
            (0..task.classes.len()).map(against_rest).collect()
        }
    }
}

fn row_major(columns: &[Vec<f32>]) -> Vec<f32> {
    let rows = columns.first().map_or(0, Vec::len);
    let row = |row: usize| columns.iter().map(move |column| column[row]);
    (0..rows).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use supermoe_nn::{Cpu, NoneTape, matrix, read_scalar};

    use super::*;
    use crate::task_towers::tests::task;

    fn loss(tasks: &[(TaskKind, Vec<f32>, Vec<f32>)]) -> Option<f32> {
        let device = Cpu::default();
        let kinds: Vec<Task> = tasks.iter().map(|(kind, ..)| task(*kind)).collect();
        let given: Vec<_> = tasks
            .iter()
            .map(|(_, given, labels)| {
                let width = given.len() / labels.len();
                matrix(&device, given.clone(), labels.len(), width).unwrap()
            })
            .collect();
        let labels: Vec<_> = tasks.iter().map(|(_, _, labels)| labels.clone()).collect();
        let loss = ranking_loss(&device, &kinds, &given, &labels, &mut NoneTape).unwrap();
        loss.map(|loss| read_scalar(&loss))
    }

    #[test]
    fn tasks_of_each_kind_by_hand() {
        let nan = f32::NAN;
        let binary = (TaskKind::Binary, vec![0.5, 0.25, 7.0], vec![1.0, 0.0, nan]);
        assert_eq!(loss(from_ref(&binary)), Some(0.75));
        // Pairs (3, 1), (3, 2), (2, 1) of scores 0, 0.5, 1: 1 + 1, 1 + 0.5, 1 + 0.5.
        let regression = (
            TaskKind::Regression,
            vec![0.0, 1.0, 0.5],
            vec![3.0, 1.0, 2.0],
        );
        let found = loss(from_ref(&regression)).unwrap();
        assert!((found - 5.0 / 3.0).abs() < 1e-6, "{found}");
        // Classes a and b against the rest; c is never a label. a: 2 - 0.5 is enough; b: 1 - (0.5 - 0.5).
        let rows = vec![2.0, 0.5, 9.0, 0.5, 0.5, 9.0];
        let multiclass = (TaskKind::Multiclass, rows, vec![0.0, 1.0]);
        assert_eq!(loss(from_ref(&multiclass)), Some(0.5));
        let one_class = (TaskKind::Binary, vec![9.0, 1.0], vec![1.0, 1.0]);
        assert_eq!(loss(from_ref(&one_class)), None);
        let all = loss(&[binary, regression, multiclass, one_class]).unwrap();
        assert!((all - (0.75 + 5.0 / 3.0 + 0.5) / 3.0).abs() < 1e-6, "{all}");
    }
}
