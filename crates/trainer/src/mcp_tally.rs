//! How good a head is on validation, beside what costs nothing: to copy the neighbouring step, or to
//! say the same always.

use std::collections::BTreeMap;

use supermoe_nn::threads::OnThreads;

use crate::predicted_channel::Value;

/// Rows of one task.
const ROWS: usize = 64;

/// What a head tells of rows of classes, block of classes by block.
pub struct Told<'c> {
    /// The true classes. [P]
    classes: &'c [u32],
    rows: Vec<Row>,
}

#[derive(Clone)]
struct Row {
    /// The likeliest class so far, and its logit.
    best: (u32, f64),
    /// Sum of exp(logit - best logit).
    total: f64,
    /// Logit of the true class.
    own: f64,
}

impl<'c> Told<'c> {
    pub fn new(classes: &'c [u32]) -> Told<'c> {
        let row = Row {
            best: (0, f64::NEG_INFINITY),
            total: 0.0,
            own: f64::NAN,
        };
        Told {
            classes,
            rows: vec![row; classes.len()],
        }
    }

    /// Adds the logits, row-major [P, K], of the K classes from `first` on.
    pub fn add(&mut self, first: u32, logits: &[f32]) {
        let count = logits.len().checked_div(self.rows.len()).unwrap_or(0);
        let rows = self.rows.chunks_mut(ROWS).zip(self.classes.chunks(ROWS));
        rows.zip(logits.chunks(ROWS * count.max(1)))
            .for_each_on_threads(|((rows, classes), logits)| {
                let of_rows = logits.chunks_exact(count.max(1));
                for ((row, &class), logits) in rows.iter_mut().zip(classes).zip(of_rows) {
                    row.add(first, logits, class);
                }
            });
    }
}

impl Row {
    fn add(&mut self, first: u32, logits: &[f32], class: u32) {
        for (number, &logit) in (first..).zip(logits) {
            let logit = f64::from(logit);
            if logit > self.best.1 {
                self.total *= (self.best.1 - logit).exp();
                self.best = (number, logit);
            }
            self.total += (logit - self.best.1).exp();
        }
        if let Some(&own) = logits.get(class.wrapping_sub(first) as usize) {
            self.own = f64::from(own);
        }
    }
}

/// Sums over the masked rows of one head.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    rows: u64,
    loss: f64,
    /// Loss of copying; of numbers alone.
    copy_loss: f64,
    right: u64,
    copied_right: u64,
    /// How often each class was true.
    seen: BTreeMap<u32, u64>,
    /// Sum and sum of squares of the true numbers.
    numbers: (f64, f64),
    of_numbers: bool,
}

impl Tally {
    /// Adds rows of classes.
    pub fn add_classes(&mut self, told: &Told<'_>, copies: &[Option<Value>]) {
        for ((row, &class), copy) in told.rows.iter().zip(told.classes).zip(copies) {
            self.rows += 1;
            self.loss += row.total.ln() + row.best.1 - row.own;
            self.right += u64::from(row.best.0 == class);
            self.copied_right += u64::from(*copy == Some(Value::Class(class)));
            *self.seen.entry(class).or_default() += 1;
        }
    }

    /// Adds rows of numbers. Without a neighbour to copy the mean of the training samples is said,
    /// which is 0.
    pub fn add_numbers(&mut self, told: &[f32], wanted: &[f32], copies: &[Option<Value>]) {
        self.of_numbers = true;
        for ((&told, &wanted), copy) in told.iter().zip(wanted).zip(copies) {
            let copied = match copy {
                Some(Value::Number(number)) => *number,
                _ => 0.0,
            };
            let wanted = f64::from(wanted);
            self.rows += 1;
            self.loss += (f64::from(told) - wanted).powi(2);
            self.copy_loss += (f64::from(copied) - wanted).powi(2);
            self.numbers.0 += wanted;
            self.numbers.1 += wanted * wanted;
        }
    }

    /// Mean loss; `None` without rows.
    pub fn loss(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.loss / self.rows as f64)
    }

    /// The metrics of the head, by their last name. Beside its own stand those of copying the
    /// neighbouring step (`copy_`), and of always saying the most frequent class (`frequent_`) or the
    /// mean (`mean_`) of these very rows.
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        let rows = self.rows as f64;
        if self.rows == 0 {
            return Vec::new();
        }
        if self.of_numbers {
            let mean = self.numbers.0 / rows;
            return vec![
                ("loss", self.loss / rows),
                ("copy_loss", self.copy_loss / rows),
                ("mean_loss", self.numbers.1 / rows - mean * mean),
            ];
        }
        let frequent = self.seen.values().max().copied().unwrap_or(0);
        vec![
            ("loss", self.loss / rows),
            ("accuracy", self.right as f64 / rows),
            ("copy_accuracy", self.copied_right as f64 / rows),
            ("frequent_accuracy", frequent as f64 / rows),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_in_blocks_are_as_classes_at_once() {
        let classes = [4u32, 0, 2];
        let logits: Vec<f32> = (0..15).map(|i| ((i * 7) % 11) as f32 / 3.0).collect();
        let mut whole = Told::new(&classes);
        whole.add(0, &logits);
        let mut parts = Told::new(&classes);
        for (first, columns) in [(0, 0..2), (2, 2..5)] {
            let part: Vec<f32> = logits
                .chunks(5)
                .flat_map(|row| row[columns.clone()].to_vec())
                .collect();
            parts.add(first, &part);
        }
        let tally = |told: &Told| {
            let mut tally = Tally::default();
            tally.add_classes(told, &[None; 3]);
            tally
        };
        let (whole, parts) = (tally(&whole), tally(&parts));
        assert_eq!(whole.right, parts.right);
        let expected: f64 = logits
            .chunks(5)
            .zip(classes)
            .map(|(row, class)| {
                let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
                total.ln() - f64::from(row[class as usize])
            })
            .sum();
        for tally in [whole, parts] {
            assert!((tally.loss - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn a_head_stands_beside_copying_and_the_most_frequent() {
        let classes = [1u32, 1, 0, 1];
        let mut told = Told::new(&classes);
        told.add(0, &[0.0, 9.0, 0.0, 9.0, 9.0, 0.0, 9.0, 0.0]);
        let mut tally = Tally::default();
        let copies = [Some(Value::Class(0)), Some(Value::Class(1)), None, None];
        tally.add_classes(&told, &copies);
        let metrics = tally.metrics();
        assert_eq!(
            metrics[1..],
            [
                ("accuracy", 0.75),
                ("copy_accuracy", 0.25),
                ("frequent_accuracy", 0.75)
            ]
        );
        assert!(Tally::default().metrics().is_empty());
    }

    #[test]
    fn numbers_stand_beside_copying_and_the_mean() {
        let mut tally = Tally::default();
        let copies = [Some(Value::Number(2.0)), None];
        tally.add_numbers(&[1.0, 2.0], &[1.0, 3.0], &copies);
        assert_eq!(
            tally.metrics(),
            [("loss", 0.5), ("copy_loss", 5.0), ("mean_loss", 1.0)]
        );
    }
}
