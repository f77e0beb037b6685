//! AdamW against plain f64 code.

use supermoe_nn::optim::{AdamW, AdamWConfig, LearningRates};
use supermoe_nn::parameters::Initial;
use supermoe_nn::tables::RowOptimizer;
use supermoe_nn::{Cpu, Group, OwnedTape, Parameters, Table, ops, read};

/// One parameter in plain code.
#[derive(Clone)]
struct Plain {
    values: Vec<f64>,
    mean: Vec<f64>,
    square: Vec<f64>,
}

impl Plain {
    fn new(values: &[f32]) -> Self {
        let zeros = vec![0.0; values.len()];
        Self {
            values: values.iter().map(|&v| f64::from(v)).collect(),
            mean: zeros.clone(),
            square: zeros,
        }
    }

    fn step(&mut self, gradient: &[f64], rate: f64, decay: f64, step: i32) {
        for (i, g) in gradient.iter().enumerate() {
            self.mean[i] = 0.9 * self.mean[i] + 0.1 * g;
            self.square[i] = 0.999 * self.square[i] + 0.001 * g * g;
            let mean = self.mean[i] / (1.0 - 0.9f64.powi(step));
            let square = self.square[i] / (1.0 - 0.999f64.powi(step));
            self.values[i] -= rate * decay * self.values[i];
            self.values[i] -= rate * mean / (square.sqrt() + 1e-8);
        }
    }
}

fn assert_close(found: &[f32], expected: &[f64]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (f64::from(*found) - expected).abs() < 2e-6,
            "{found} is not {expected}"
        );
    }
}

/// The loss is the sum of weight * value, so that the gradient is the weights.
#[test]
fn steps_with_clipping_decay_rates_by_group_and_a_table() {
    let device = Cpu::default();
    let mut parameters = Parameters::new(device.clone(), 2);
    let encoder = parameters
        .add("encoder", Group::Encoder, (5,), Initial::Normal(1.0))
        .unwrap();
    let tower = parameters
        .add("tower", Group::Towers, (3,), Initial::Normal(1.0))
        .unwrap();
    let mut table = Table::new("item", 6, 2, 1.0, RowOptimizer::LazyAdam, 2).unwrap();
    let config = AdamWConfig {
        weight_decay: 0.1,
        clip_norm: Some(2.0),
        ..AdamWConfig::default()
    };
    let mut optimizer = AdamW::new(config);
    let mut plain = [
        Plain::new(&read(parameters.get(encoder))),
        Plain::new(&read(parameters.get(tower))),
    ];
    let mut plain_table = Plain::new(&table.values().unwrap());
    for step in 1..=6 {
        // Norms on both sides of the limit.
        let size = if step % 2 == 0 { 3.0 } else { 0.1 };
        let weights =
            |count: usize| -> Vec<f32> { (0..count).map(|i| size * ((i as f32) - 1.3)).collect() };
        let rows = table.gather(&device, &[4, 1, 4]).unwrap();
        let mut tape = OwnedTape::default();
        let a = ops::weighted_sum(parameters.get(encoder), &weights(5), &mut tape).unwrap();
        let b = ops::weighted_sum(parameters.get(tower), &weights(3), &mut tape).unwrap();
        let pooled = ops::mse(&rows.leaf, &[0.5; 4], &mut tape).unwrap(); // mean of squares by column
        let c = ops::weighted_sum(&pooled, &[size, size], &mut tape).unwrap();
        let loss = ops::sum(&device, &[(&a, 1.0), (&b, 1.0), (&c, 1.0)], &mut tape).unwrap();
        let leaf: Vec<f64> = read(&rows.leaf).into_iter().map(f64::from).collect();
        let mut gradients = ops::backward(loss, tape).unwrap();
        let rates = LearningRates {
            encoder: Some(0.01),
            towers: Some(0.1),
            tables: Some(0.05),
        };
        let done = optimizer
            .step(
                &mut parameters,
                &mut gradients,
                &mut [(&mut table, &rows)],
                &rates,
            )
            .unwrap();

        let mut expected: Vec<Vec<f64>> = [5, 3]
            .iter()
            .map(|&n| weights(n).into_iter().map(f64::from).collect())
            .collect();
        expected.push(leaf.iter().map(|x| f64::from(size) * (x - 0.5)).collect());
        let norm = expected.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
        assert!(
            (done.gradient_norm - norm).abs() < 1e-5 * norm,
            "{} is not {norm}",
            done.gradient_norm
        );
        let scale = (2.0 / norm).min(1.0);
        assert!((f64::from(done.scale) - scale).abs() < 1e-6);
        expected.iter_mut().flatten().for_each(|g| *g *= scale);
        plain[0].step(&expected[0], 0.01, 0.1, step);
        plain[1].step(&expected[1], 0.1, 0.1, step);
        let mut sparse = vec![0.0; 12];
        sparse[2..4].copy_from_slice(&expected[2][..2]); // row 1
        sparse[8..10].copy_from_slice(&expected[2][2..]); // row 4
        let before = plain_table.clone();
        plain_table.step(&sparse, 0.05, 0.0, step);
        for row in [0, 2, 3, 5] {
            assert_eq!(
                before.values[2 * row..][..2],
                plain_table.values[2 * row..][..2]
            );
        }
    }
    assert_close(&read(parameters.get(encoder)), &plain[0].values);
    assert_close(&read(parameters.get(tower)), &plain[1].values);
    assert_close(&table.values().unwrap(), &plain_table.values);
}
