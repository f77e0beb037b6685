//! Embeddings as features: one aggregate for each of their numbers, so that a model sees them in the
//! snapshot step of a sample beside its own aggregates.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use supermoe_channels::embedding_table::{EMBEDDINGS_FILE, EmbeddingTable};
use supermoe_channels::{Aggregate, Dataset, DatasetError, SampleId, Split};

use crate::error::TrainError;

/// Samples without an embedding that a message names.
const SHOWN: usize = 3;

/// The dataset whose samples have the aggregates `embedding_0`, `embedding_1`, … after their own: the
/// numbers of the embedding of the same entity at the same snapshot, scaled by the training samples as all
/// aggregates are. `folder` is an artifact of `export`.
///
/// # Errors
/// A missing or damaged file, embeddings of several widths, a sample without one or with two, an aggregate
/// of that name in the dataset.
pub fn with_embeddings(dataset: Dataset, folder: &Path) -> Result<Dataset, TrainError> {
    let embeddings = Embeddings::read(folder)?;
    let rows = embeddings.rows_of(&dataset)?;
    let training = dataset.split(Split::Train);
    let table = &embeddings.table;
    let columns = (0..table.width).map(|column| {
        let values: Vec<f32> = rows.iter().map(|&row| table.row(row)[column]).collect();
        (aggregate(column, &values, &training), values)
    });
    let columns = columns.collect();
    Ok(dataset.with_aggregates(columns)?)
}

/// Mean and deviation of a column over the training samples.
fn aggregate(column: usize, values: &[f32], training: &[SampleId]) -> Aggregate {
    let count = training.len().max(1) as f64;
    let seen = || training.iter().map(|id| f64::from(values[id.index()]));
    let mean = seen().sum::<f64>() / count;
    let variance = seen().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
    Aggregate {
        name: format!("embedding_{column}"),
        mean,
        deviation: if variance > 0.0 { variance.sqrt() } else { 1.0 },
    }
}

/// What an artifact holds.
struct Embeddings {
    table: EmbeddingTable,
    /// By entity and snapshot: the row.
    rows: HashMap<(Arc<str>, i64), usize>,
}

impl Embeddings {
    fn read(folder: &Path) -> Result<Embeddings, TrainError> {
        let refuse = |reason| TrainError::Embeddings {
            path: folder.join(EMBEDDINGS_FILE),
            reason,
        };
        let table = EmbeddingTable::read(folder).map_err(|error| match error {
            DatasetError::Io { path, source, .. } => TrainError::io(&path)(source),
            DatasetError::Malformed { problem, .. } => refuse(problem),
            other => refuse(other.to_string()),
        })?;
        let mut rows = HashMap::with_capacity(table.samples.len());
        for (row, sample) in table.samples.iter().enumerate() {
            if rows.insert(sample.clone(), row).is_some() {
                let entity = &sample.0;
                let reason = format!("entity {entity} has two embeddings at one snapshot");
                return Err(refuse(reason));
            }
        }
        Ok(Embeddings { table, rows })
    }

    /// By sample of the dataset: its row here.
    fn rows_of(&self, dataset: &Dataset) -> Result<Vec<usize>, TrainError> {
        let (mut rows, mut missing) = (Vec::with_capacity(dataset.len()), Vec::new());
        for id in (0..dataset.len() as u32).map(SampleId) {
            let key = (dataset.entity(id).into(), dataset.snapshot_ms(id));
            match self.rows.get(&key) {
                Some(&row) => rows.push(row),
                None => missing.push(id),
            }
        }
        if missing.is_empty() {
            return Ok(rows);
        }
        let shown = missing.iter().take(SHOWN).map(|&id| {
            let split = dataset.samples().split[id.index()];
            let snapshot = dataset.snapshot_ms(id);
            format!(
                "entity {} ({split}, snapshot {snapshot} ms)",
                dataset.entity(id)
            )
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        Err(TrainError::Artifact {
            port: "embeddings",
            reason: format!(
                "{} of the {} samples of the dataset have none, for example {shown}; let `export` embed all \
                 samples of this dataset (without `splits`)",
                missing.len(),
                dataset.len()
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embeddings::{EmbeddingsConfig, EmbeddingsWriter};
    use crate::pooling::Pooling;
    use crate::tiny_retail;

    /// Embeddings of these samples: two numbers, by the index of the sample.
    fn export(dataset: &Dataset, samples: &[SampleId]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddingsConfig {
            model: "m".into(),
            revision: "1".into(),
            d: 2,
            pooling: Pooling::Max,
            rows: samples.len(),
        };
        let mut writer = EmbeddingsWriter::create(folder.path(), &config).unwrap();
        let values = samples.iter().flat_map(|id| [id.0 as f32, 5.0]).collect();
        writer.append(dataset, samples, values).unwrap();
        writer.finish().unwrap();
        folder
    }

    fn all(dataset: &Dataset) -> Vec<SampleId> {
        (0..dataset.len() as u32).map(SampleId).collect()
    }

    #[test]
    fn numbers_of_embeddings_are_aggregates_of_the_same_entity_and_snapshot() {
        let dataset = tiny_retail::dataset(4);
        let mut samples = all(&dataset);
        samples.reverse();
        let folder = export(&dataset, &samples);
        let own = dataset.schema().aggregates.len();
        let wide = with_embeddings(dataset.clone(), folder.path()).unwrap();
        let added = &wide.schema().aggregates[own..];
        assert_eq!(
            [&added[0].name, &added[1].name],
            ["embedding_0", "embedding_1"]
        );
        let ids = wide.samples().aggregates[own].iter().copied();
        assert!(ids.eq(all(&dataset).iter().map(|id| id.0 as f32)));
        // What does not differ is not divided by zero.
        assert_eq!((added[1].mean, added[1].deviation), (5.0, 1.0));
        let packed = wide.pack(&wide.split(Split::Train));
        let column = packed.dense_width - 2;
        let scaled: Vec<f32> = (0..packed.tokens())
            .filter(|&token| packed.is_snapshot[token])
            .map(|token| packed.dense[token * packed.dense_width + column])
            .collect();
        let mean = scaled.iter().sum::<f32>() / scaled.len() as f32;
        let square = scaled.iter().map(|x| x * x).sum::<f32>() / scaled.len() as f32;
        assert!(
            mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4,
            "{mean} {square}"
        );
        let of_steps = (0..packed.tokens()).filter(|&token| !packed.is_snapshot[token]);
        for token in of_steps {
            assert_eq!(packed.dense[token * packed.dense_width + column], 0.0);
        }
    }

    #[test]
    fn a_sample_without_an_embedding_is_named() {
        let dataset = tiny_retail::dataset(4);
        let folder = export(&dataset, &dataset.split(Split::Train));
        let error = with_embeddings(dataset.clone(), folder.path()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with(
                "embeddings: 8 of the 16 samples of the dataset have none, for example entity"
            ),
            "{error}"
        );
        assert!(
            error.ends_with("let `export` embed all samples of this dataset (without `splits`)"),
            "{error}"
        );
    }

    #[test]
    fn wrong_files_are_told() {
        let dataset = tiny_retail::dataset(2);
        let twice = [all(&dataset), all(&dataset)].concat();
        let told = |folder: &Path| {
            with_embeddings(dataset.clone(), folder)
                .unwrap_err()
                .to_string()
        };
        assert!(
            told(export(&dataset, &twice).path()).contains("has two embeddings at one snapshot")
        );
        assert!(told(export(&dataset, &[]).path()).contains("it has no embeddings"));
        let folder = export(&dataset, &all(&dataset));
        std::fs::write(folder.path().join(EMBEDDINGS_FILE), "no parquet").unwrap();
        assert!(told(folder.path()).contains(EMBEDDINGS_FILE));
        let wide =
            with_embeddings(dataset.clone(), export(&dataset, &all(&dataset)).path()).unwrap();
        let error = with_embeddings(wide, export(&dataset, &all(&dataset)).path()).unwrap_err();
        assert!(error.to_string().contains("embedding_0"), "{error}");
    }
}
