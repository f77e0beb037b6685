//! What models are made of, in plain f64 code, one value after the other: a reference for tests that hold a
//! model's forward pass to its definition.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::{Map, Value};
use supermoe_channels::{Dataset, DenseSource, Per, SampleId, Schema, Split, Task};
use supermoe_nn::tables::RowOptimizer;
use supermoe_nn::{Cpu, read};
use supermoe_trainer::{InputLayout, InputShape, ModelFactory, Network, Representation};

use crate::stage::{Listener, ModelUnderTest, with};
use crate::tiny_retail;

/// A model with weights that its seed gives, built for some tasks, and the same weights in f64.
pub struct PlainModel {
    network: Network<Cpu>,
    layout: InputLayout,
    weights: PlainWeights,
}

/// The weights of a model in f64, by their names.
pub struct PlainWeights(BTreeMap<String, Weights>);

struct Weights {
    columns: usize,
    values: Vec<f64>,
}

impl PlainModel {
    /// Builds it without dropout.
    pub fn build(
        factory: &ModelFactory,
        params: &Value,
        dataset: &Dataset,
        d_model: usize,
        tasks: &[Task],
    ) -> PlainModel {
        let layout = InputLayout::new(dataset.schema());
        let shape = InputShape {
            schema: dataset.schema(),
            d_model,
            dropout: 0.0,
            maskable: &layout.maskable,
            tasks,
        };
        let params: Map<String, Value> = serde_json::from_value(params.clone()).unwrap();
        let optimizer = RowOptimizer::LazyAdam;
        let (network, ()) = Network::build(Cpu::default(), 7, optimizer, |builder| {
            Ok((factory.build(&params, &shape, builder)?, ()))
        })
        .unwrap();
        let weights = weights_of(&network);
        PlainModel {
            network,
            layout,
            weights,
        }
    }

    /// By task, row-major [samples, d]: what the network gives.
    pub fn task_representations(&self, dataset: &Dataset, samples: &[SampleId]) -> Vec<Vec<f32>> {
        let input = self.layout.input(&dataset.pack(samples), &[]).unwrap();
        let encoded = self.network.infer(&input).unwrap();
        let Representation::Tasks(tasks) = encoded.representation else {
            panic!("the model gives no representation for each task");
        };
        tasks.iter().map(read).collect()
    }

    /// Doubles the weights whose names begin so; there must be some.
    pub fn double(&mut self, prefix: &str) {
        let (parameters, _) = self.network.parts_mut();
        let named = parameters.iter().filter(|of| of.name().starts_with(prefix));
        let changed: Vec<(String, Vec<f32>)> = named
            .map(|of| {
                let doubled = of.read().iter().map(|value| 2.0 * value).collect();
                (of.name().to_owned(), doubled)
            })
            .collect();
        assert!(!changed.is_empty(), "no parameter begins with {prefix}");
        for (name, values) in changed {
            parameters.set(&name, &values).unwrap();
        }
        self.weights = weights_of(&self.network);
    }

    pub fn weights(&self) -> &PlainWeights {
        &self.weights
    }
}

impl PlainWeights {
    /// Of a file of weights that a job has written.
    pub fn read(path: &Path) -> PlainWeights {
        let bytes = fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.iter().map(|(name, view)| {
            let (values, _) = view.data().as_chunks::<4>();
            let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes).into());
            let weights = Weights {
                columns: view.shape().last().copied().unwrap_or(1),
                values: values.collect(),
            };
            (name.to_owned(), weights)
        });
        PlainWeights(tensors.collect())
    }

    fn of(&self, name: &str) -> &Weights {
        let weights = self.0.get(name);
        weights.unwrap_or_else(|| panic!("there is no parameter {name}"))
    }

    /// x W of `{name}.weight`.
    pub fn product(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let Weights { columns, values } = self.of(&format!("{name}.weight"));
        assert_eq!(x.len() * columns, values.len(), "{name} fits its input");
        let column = |c: usize| {
            let terms = x.iter().enumerate();
            terms.map(|(i, x)| x * values[i * columns + c]).sum()
        };
        (0..*columns).map(column).collect()
    }

    /// x W + b of `{name}.weight` and `{name}.bias`.
    pub fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let bias = &self.of(&format!("{name}.bias")).values;
        let product = self.product(name, x);
        product.iter().zip(bias).map(|(y, b)| y + b).collect()
    }

    /// Linear layers `{name}.0`, `{name}.1`, ... with a ReLU after each.
    pub fn mlp(&self, name: &str, layers: usize, x: &[f64]) -> Vec<f64> {
        let mut x = x.to_vec();
        for layer in 0..layers {
            let y = self.linear(&format!("{name}.{layer}"), &x);
            x = y.iter().map(|y| y.max(0.0)).collect();
        }
        x
    }

    /// The sum of the experts' results weighted by softmax(x W) of `{name}.weight`.
    pub fn gated(&self, name: &str, x: &[f64], experts: &[Vec<f64>]) -> Vec<f64> {
        let logits = self.product(name, x);
        assert_eq!(
            logits.len(),
            experts.len(),
            "{name} has a logit for each expert"
        );
        let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let mut sum = vec![0.0; experts[0].len()];
        for (logit, expert) in logits.iter().zip(experts) {
            let share = logit.exp() / total;
            sum.iter_mut()
                .zip(expert)
                .for_each(|(sum, y)| *sum += share * y);
        }
        sum
    }

    /// What `PooledFeatures` makes of a sample.
    pub fn pooled_features(&self, dataset: &Dataset, sample: SampleId) -> Vec<f64> {
        let (schema, batch) = (dataset.schema(), dataset.pack(&[sample]));
        let events = batch.tokens() - 1;
        let (mut of_events, mut of_sample) = (Vec::new(), Vec::new());
        for (index, channel) in schema.code_channels().into_iter().enumerate() {
            let channel = &schema.channels[channel];
            let table = self.of(&format!("features.table.{}", channel.name));
            let embedding = |row: usize| {
                let code = batch.codes[index][row] as usize;
                &table.values[code * table.columns..][..table.columns]
            };
            if matches!(channel.per, Per::Step | Per::SampleStep) {
                let mean = |c: usize| {
                    let sum: f64 = (0..events).map(|row| embedding(row)[c]).sum();
                    sum / events.max(1) as f64
                };
                of_events.extend((0..table.columns).map(mean));
            } else {
                of_sample.extend_from_slice(embedding(events));
            }
        }
        let number = |row: usize, column: usize| -> f64 {
            batch.dense[row * batch.dense_width + column].into()
        };
        let (steps, others): (Vec<usize>, Vec<usize>) =
            (0..batch.dense_width).partition(|&column| is_of_steps(schema, column));
        let mean = |&column: &usize| {
            let sum: f64 = (0..events).map(|row| number(row, column)).sum();
            sum / events.max(1) as f64
        };
        let newest = |&column: &usize| match events {
            0 => 0.0,
            _ => number(events - 1, column),
        };
        let mut features = [of_events, of_sample].concat();
        features.extend(steps.iter().map(mean));
        features.extend(steps.iter().map(newest));
        features.extend(others.iter().map(|&column| number(events, column)));
        features
    }
}

fn is_of_steps(schema: &Schema, column: usize) -> bool {
    match schema.dense_columns()[column].source {
        DenseSource::Aggregate(_) => false,
        DenseSource::Channel(channel) => {
            matches!(schema.channels[channel].per, Per::Step | Per::SampleStep)
        }
    }
}

fn weights_of(network: &Network<Cpu>) -> PlainWeights {
    let mut weights = BTreeMap::new();
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
    for parameter in network.parameters().iter() {
        let of = Weights {
            columns: parameter.shape().last().copied().unwrap_or(1),
            values: wide(&parameter.read()),
        };
        weights.insert(parameter.name().to_owned(), of);
    }
    for table in network.tables() {
        let of = Weights {
            columns: table.dim(),
            values: wide(&table.values().expect("a table in memory")),
        };
        weights.insert(table.name().to_owned(), of);
    }
    PlainWeights(weights)
}

/// Panics unless a model that has been trained for some steps scores the test samples as one linear tower a binary
/// task does in f64, on what `represent` makes of a sample for each task.
pub fn assert_scores(
    model: &ModelUnderTest,
    represent: impl Fn(&PlainWeights, &Dataset, SampleId) -> Vec<Vec<f64>>,
) {
    let (stage, dataset) = (model.stage(), tiny_retail::dataset(20));
    let params = with(model.finetune_params(), "max_steps", 10);
    let mut listener = Listener::default();
    stage
        .finetune(&dataset, &params, None, &mut listener)
        .unwrap();
    stage.predict(&dataset, &mut listener).unwrap();
    let weights = PlainWeights::read(&stage.path("model/weights.safetensors"));
    let samples = dataset.split(Split::Test);
    let rows = stage.predictions_in("predicted");
    let of_tasks = rows.chunks_exact(samples.len());
    for (index, (task, rows)) in dataset.schema().tasks.iter().zip(of_tasks).enumerate() {
        let tower = format!("towers.{}", task.name);
        let score = |&sample: &SampleId| {
            let own = &represent(&weights, &dataset, sample)[index];
            1.0 / (1.0 + (-weights.linear(&tower, own)[0]).exp())
        };
        let expected: Vec<f64> = samples.iter().map(score).collect();
        assert!(rows.iter().all(|row| row.task == task.name));
        let found: Vec<f32> = rows.iter().map(|row| row.score as f32).collect();
        assert_close(&found, &expected, &tower);
    }
}

/// Panics unless the values are the expected ones but for the rounding of f32.
pub fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(found) - expected).abs();
        assert!(
            difference <= 1e-5 * (1.0 + expected.abs()),
            "{what}: value {i} is {found}, expected {expected}"
        );
    }
}
