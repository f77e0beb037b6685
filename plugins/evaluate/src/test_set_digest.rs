//! What a test set is known by, so that reports of different runs can be told to be of one test set.

use blake3::Hasher;

use crate::cell::TaskPredictions;

/// BLAKE3 of the entities and snapshots, in 64 hex digits; the order in which they were read says nothing.
pub fn split_digest(task: &TaskPredictions) -> String {
    let mut hasher = Hasher::new();
    for (entity, snapshot_ms) in &task.samples {
        take_in(&mut hasher, entity.as_bytes());
        hasher.update(&snapshot_ms.to_le_bytes());
    }
    hasher.finalize().to_string()
}

/// BLAKE3 of the classes, and of each one's label for every sample, in 64 hex digits.
pub fn labels_digest(task: &TaskPredictions) -> String {
    let mut hasher = Hasher::new();
    for column in &task.columns {
        take_in(
            &mut hasher,
            column.class.as_deref().unwrap_or_default().as_bytes(),
        );
        for label in &column.labels {
            match label {
                None => hasher.update(&[0]),
                // Adding zero makes the two zeros one.
                Some(label) => hasher.update(&[1]).update(&(label + 0.0).to_le_bytes()),
            };
        }
    }
    hasher.finalize().to_string()
}

/// With its length before it, so that no two lists of texts read the same.
fn take_in(hasher: &mut Hasher, text: &[u8]) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text);
}

#[cfg(test)]
mod tests {
    use supermoe_channels::TaskKind;

    use super::*;
    use crate::cell::Column;

    fn task(entities: [&str; 2], labels: [Option<f32>; 2], scores: [f64; 2]) -> TaskPredictions {
        TaskPredictions {
            kind: TaskKind::Regression,
            samples: entities.map(|entity| (entity.into(), 5)).to_vec(),
            columns: vec![Column {
                class: None,
                labels: labels.to_vec(),
                scores: scores.to_vec(),
            }],
        }
    }

    #[test]
    fn samples_make_the_split_and_labels_the_truth() {
        let first = task(["a", "bc"], [Some(0.0), None], [0.1, 0.2]);
        let scores = task(["a", "bc"], [Some(-0.0), None], [0.3, 0.4]);
        assert_eq!(split_digest(&first), split_digest(&scores));
        assert_eq!(labels_digest(&first), labels_digest(&scores));
        let samples = task(["ab", "c"], [Some(0.0), None], [0.1, 0.2]);
        assert_ne!(split_digest(&first), split_digest(&samples));
        assert_eq!(labels_digest(&first), labels_digest(&samples));
        let labels = task(["a", "bc"], [Some(0.0), Some(0.0)], [0.1, 0.2]);
        assert_eq!(split_digest(&first), split_digest(&labels));
        assert_ne!(labels_digest(&first), labels_digest(&labels));
    }
}
