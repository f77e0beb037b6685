//! Shards, late updates and files give the same rows as one table in memory does.

use super::*;
use crate::threads;
use crate::{Cpu, read};

const RATE: RowRate = RowRate {
    learning_rate: 0.1,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
};

const OPTIMIZERS: [RowOptimizer; 2] = [RowOptimizer::LazyAdam, RowOptimizer::RowAdagrad];

fn settings(optimizer: RowOptimizer, shards: usize) -> TableSettings {
    TableSettings {
        shards: NonZeroUsize::new(shards).unwrap(),
        ..optimizer.into()
    }
}

fn delayed(optimizer: RowOptimizer, delay: usize) -> TableSettings {
    TableSettings {
        updates: RowUpdates::Delayed {
            delay: NonZeroUsize::new(delay).unwrap(),
            worker: UpdateWorker::new().unwrap(),
        },
        ..settings(optimizer, 2)
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// A step's rows and a gradient that depends on what was looked up.
fn step(table: &mut Table, number: u32) {
    let codes: Vec<u32> = (0..1500).map(|i| (i * 7 + number * 13) % 1999).collect();
    let rows = table.gather(&Cpu::default(), &codes).unwrap();
    table.release().unwrap();
    let gradient: Vec<f32> = read(&rows.leaf)
        .iter()
        .map(|value| value * 0.5 + 0.25)
        .collect();
    table.update(&rows.rows, &gradient, 0.9, &RATE).unwrap();
}

#[test]
fn a_snapshot_that_is_moved_becomes_the_mean() {
    let folder = tempfile::tempdir().unwrap();
    for place in [
        TablePlace::Memory,
        TablePlace::File(folder.path().to_owned()),
    ] {
        let settings_of = |place: &TablePlace| TableSettings {
            place: place.clone(),
            ..settings(RowOptimizer::LazyAdam, 2)
        };
        let mut table = Table::new("item", 1999, 3, 1.0, settings_of(&place), 1).unwrap();
        let first = table.snapshot().unwrap();
        let mut mean = first.clone();
        let mut sum: Vec<f64> = first.values().iter().map(|&x| f64::from(x)).collect();
        for number in 1..4u16 {
            step(&mut table, number.into());
            table
                .move_snapshot(&mut mean, 1.0 / f32::from(number + 1))
                .unwrap();
            let now = table.values().unwrap();
            sum.iter_mut()
                .zip(&now)
                .for_each(|(sum, &x)| *sum += f64::from(x));
        }
        for (mean, sum) in mean.values().iter().zip(&sum) {
            assert!((f64::from(*mean) - sum / 4.0).abs() < 1e-6);
        }
        // The clone it was made from is as it was.
        let fresh = Table::new("item", 1999, 3, 1.0, settings_of(&place), 1).unwrap();
        assert_ne!(first, mean);
        assert_eq!(first, fresh.snapshot().unwrap());
    }
}

/// Bits of values and state after some steps.
fn trained(settings: TableSettings, steps: u32) -> Vec<u32> {
    let mut table = Table::new("item", 1999, 3, 1.0, settings, 1).unwrap();
    (0..steps).for_each(|number| step(&mut table, number));
    table.settle().unwrap();
    let mut all = bits(&table.values().unwrap());
    for rows in table.blocks(RowPart::State) {
        let mut state = vec![0.0; rows.len() * table.width(RowPart::State)];
        table.read(RowPart::State, rows, &mut state).unwrap();
        all.extend(bits(&state));
    }
    all
}

#[test]
fn gather_gives_each_row_once_and_the_way_back() {
    let table = Table::new("item", 10, 2, 1.0, RowOptimizer::LazyAdam, 1).unwrap();
    let rows = table.gather(&Cpu::default(), &[7, 3, 7, 9]).unwrap();
    assert_eq!(
        (&rows.rows[..], &rows.index[..]),
        (&[3, 7, 9][..], &[1, 0, 1, 2][..])
    );
    assert_eq!(read(&rows.leaf)[2..4], table.values().unwrap()[14..16]);
    assert!(table.gather(&Cpu::default(), &[10]).is_err());
}

#[test]
fn only_used_rows_change() {
    for optimizer in OPTIMIZERS {
        let mut table = Table::new("item", 4, 2, 1.0, optimizer, 1).unwrap();
        let before = table.values().unwrap();
        table.update(&[2].into(), &[3.0, -3.0], 1.0, &RATE).unwrap();
        let after = table.values().unwrap();
        assert_eq!(after[..4], before[..4]);
        assert_eq!(after[6..], before[6..]);
        // The first step of either is the rate against the sign of the gradient.
        assert!((after[4] - before[4] + 0.1).abs() < 1e-5);
        assert!((after[5] - before[5] - 0.1).abs() < 1e-5);
    }
}

#[test]
fn shards_threads_and_place_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    for optimizer in OPTIMIZERS {
        let expected = trained(optimizer.into(), 4);
        for shards in [2, 3, 64, 1999] {
            assert!(
                trained(settings(optimizer, shards), 4) == expected,
                "{shards} shards"
            );
        }
        let filed = TableSettings {
            place: TablePlace::File(folder.path().to_owned()),
            ..settings(optimizer, 3)
        };
        assert!(trained(filed, 4) == expected, "in a file");
        for count in [1, 3] {
            let found = threads::run(count, || trained(settings(optimizer, 2), 4));
            assert!(found.unwrap() == expected, "{count} threads");
        }
    }
}

#[test]
fn more_shards_than_rows_is_an_error_that_names_the_table() {
    let settings = settings(RowOptimizer::LazyAdam, 5);
    let error = Table::new("mfp.table.shop", 4, 2, 1.0, settings, 1);
    assert_eq!(
        error.err().unwrap().to_string(),
        "the id table \"mfp.table.shop\" has 4 rows, and `shards` asks for 5 parts: a part needs a row; give at most 4 shards"
    );
}

/// What is late is late by the delay and no more, and a lookup sees nothing that is newer.
#[test]
fn a_lookup_sees_the_updates_up_to_its_delay() {
    for delay in [1, 2, 5] {
        let settings = delayed(RowOptimizer::RowAdagrad, delay);
        let mut table = Table::new("item", 50, 1, 1.0, settings, 1).unwrap();
        let codes: Vec<u32> = (0..50).collect();
        // Step t moves row t alone: what has moved tells which updates a lookup has seen.
        let before = table.values().unwrap();
        for number in 0..20 {
            let rows = table.gather(&Cpu::default(), &codes).unwrap();
            table.release().unwrap();
            let seen = read(&rows.leaf);
            let moved = seen.iter().zip(&before).filter(|(a, b)| a != b).count();
            assert_eq!(moved, usize::max(number, delay) - delay, "step {number}");
            table
                .update(&[number as u32].into(), &[1.0], 1.0, &RATE)
                .unwrap();
        }
        table.settle().unwrap();
        let after = table.values().unwrap();
        assert_eq!(
            after.iter().zip(&before).filter(|(a, b)| a != b).count(),
            20
        );
    }
}

/// An update that never sees its own table is the same late as at once: only lookups differ.
#[test]
fn delayed_updates_are_those_of_the_steps() {
    for optimizer in OPTIMIZERS {
        let apply = |settings: TableSettings| {
            let mut table = Table::new("item", 100, 2, 1.0, settings, 1).unwrap();
            for number in 0..9u32 {
                table.release().unwrap();
                let rows: Arc<[u32]> = (number..number + 20).collect();
                let gradient: Vec<f32> = (0..40).map(|i| (i % 7) as f32 - 3.0).collect();
                table.update(&rows, &gradient, 1.0, &RATE).unwrap();
            }
            table.settle().unwrap();
            bits(&table.values().unwrap())
        };
        assert!(apply(optimizer.into()) == apply(delayed(optimizer, 3)));
    }
}

#[test]
fn delayed_training_has_the_same_bits_each_time_and_others_than_synchronous() {
    for count in [1, 2] {
        let tested = threads::run(count, || {
            let first = trained(delayed(RowOptimizer::LazyAdam, 2), 12);
            assert!(first == trained(delayed(RowOptimizer::LazyAdam, 2), 12));
            assert!(first != trained(RowOptimizer::LazyAdam.into(), 12));
            assert!(first != trained(delayed(RowOptimizer::LazyAdam, 1), 12));
        });
        tested.unwrap();
    }
}
