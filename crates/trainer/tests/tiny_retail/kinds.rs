//! The shop with tasks of every kind.

use supermoe_channels::{Dataset, Samples, Schema, Task, TaskKind};

use super::dataset_with;

/// Beside the binary tasks `often`, one of three classes by how many steps were seen, and `seen`, about
/// ten times that number; every fourth sample has no label of either.
pub fn dataset_of_all_kinds(entities: u32) -> Dataset {
    dataset_with(entities, |schema, samples| {
        let steps: Vec<u32> = samples.steps.clone();
        let label = |of: &dyn Fn(u32) -> f32| -> Vec<f32> {
            let samples = steps.iter().enumerate();
            samples
                .map(|(i, &steps)| if i % 4 == 1 { f32::NAN } else { of(steps) })
                .collect()
        };
        let often = label(&|steps| match steps {
            0..4 => 1.0,
            4..8 => 2.0,
            _ => 0.0,
        });
        let seen = label(&|steps| 10.0 * steps as f32 + 0.5);
        let classes = ["many", "few", "some"];
        add(
            schema,
            samples,
            TaskKind::Multiclass,
            "often",
            &classes,
            often,
        );
        add(schema, samples, TaskKind::Regression, "seen", &[], seen);
    })
}

fn add(
    schema: &mut Schema,
    samples: &mut Samples,
    kind: TaskKind,
    name: &str,
    classes: &[&str],
    labels: Vec<f32>,
) {
    let train = labels.iter().zip(&samples.split);
    let train: Vec<f64> = train
        .filter(|(label, split)| !label.is_nan() && split.name() == "train")
        .map(|(&label, _)| f64::from(label))
        .collect();
    let (mut mean, mut deviation) = (0.0, 1.0);
    if kind == TaskKind::Regression {
        let count = train.len() as f64;
        mean = train.iter().sum::<f64>() / count;
        let squares = train.iter().map(|label| (label - mean).powi(2));
        deviation = (squares.sum::<f64>() / count).sqrt();
    }
    schema.tasks.push(Task {
        name: name.into(),
        kind,
        classes: classes.iter().map(|class| class.to_string()).collect(),
        mean,
        deviation,
        within_seconds: 30 * 86_400,
    });
    samples.labels.push(labels);
}
