//! Masks of batches of the made-up shop.

use std::collections::BTreeSet;

use supermoe_channels::{Dataset, Split};

use super::*;
use crate::predicted_channel::{Value, value_at};
use crate::random::{Purpose, stream};
use crate::tiny_retail;

fn masked(
    mode: MaskMode,
    predict: &[&str],
    rate: f64,
) -> (Dataset, Masking, PackedBatch, MaskedBatch) {
    masked_of(tiny_retail::dataset(60), mode, predict, rate)
}

fn masked_of(
    dataset: Dataset,
    mode: MaskMode,
    predict: &[&str],
    rate: f64,
) -> (Dataset, Masking, PackedBatch, MaskedBatch) {
    let names: Vec<String> = predict.iter().map(|name| name.to_string()).collect();
    let masking = Masking::new(dataset.schema(), &names, DenseTarget::Buckets, mode, rate).unwrap();
    let batch = dataset.pack(&dataset.split(Split::Train));
    let masked = masking.apply(batch.clone(), &mut stream(1, Purpose::Mask, 0, 0));
    (dataset, masking, batch, masked)
}

fn column(dataset: &Dataset, name: &str) -> usize {
    dataset
        .schema()
        .dense_columns()
        .iter()
        .position(|column| column.name == name)
        .unwrap()
}

#[test]
fn the_snapshot_step_is_never_picked_nor_changed() {
    for mode in [MaskMode::PerStep, MaskMode::PerChannel, MaskMode::Visit] {
        let (_, _, batch, masked) = masked(mode, &["product", "country", "amount"], 0.9);
        let width = batch.dense_width;
        for row in (0..batch.tokens()).filter(|&row| batch.is_snapshot[row]) {
            assert!(
                masked
                    .targets
                    .iter()
                    .all(|targets| !targets.rows.contains(&(row as u32)))
            );
            assert!(
                (0..batch.codes.len()).all(|c| batch.codes[c][row] == masked.batch.codes[c][row])
            );
            let dense = row * width..(row + 1) * width;
            assert_eq!(
                batch.dense[dense.clone()],
                masked.batch.dense[dense.clone()]
            );
            assert!(masked.hidden[dense].iter().all(|hidden| !hidden));
        }
    }
}

#[test]
fn rates_are_those_asked_for() {
    let (_, _, batch, masked) = masked(MaskMode::PerStep, &["product"], 0.15);
    let events = batch
        .is_snapshot
        .iter()
        .filter(|snapshot| !**snapshot)
        .count() as f64;
    let picked = masked.targets[0].rows.len() as f64;
    assert!(
        (picked / events - 0.15).abs() < 0.05,
        "{picked} of {events}"
    );
}

/// What a row shows of a channel, a code or the bits of a number; `None` where it is hidden.
fn shown(masked: &MaskedBatch, place: &Place, row: usize) -> Option<u32> {
    match place {
        Place::Codes { index, .. } => {
            Some(masked.batch.codes[*index][row]).filter(|&code| code != MASK_CODE)
        }
        Place::Bucket { column, .. } | Place::Number { column } => {
            let at = row * masked.batch.dense_width + column;
            (!masked.hidden[at]).then(|| masked.batch.dense[at].to_bits())
        }
    }
}

#[test]
fn of_the_picked_80_percent_are_hidden_10_replaced_and_10_kept() {
    let predict = ["product", "country", "amount"];
    let (_, masking, batch, masked) = masked(MaskMode::PerStep, &predict, 0.9);
    let original = MaskedBatch {
        hidden: vec![false; batch.dense.len()],
        targets: vec![],
        batch,
    };
    for (channel, targets) in masking.channels.iter().zip(&masked.targets) {
        let (place, batch) = (&channel.place, &original.batch);
        let events = (0..batch.tokens()).filter(|&row| !batch.is_snapshot[row]);
        let known: BTreeSet<_> = events
            .filter(|&row| value_at(batch, place, row).is_some())
            .map(|row| shown(&original, place, row))
            .collect();
        let (mut hidden, mut kept, mut random) = (0, 0, BTreeSet::new());
        for &row in &targets.rows {
            match shown(&masked, place, row as usize) {
                None => hidden += 1,
                same if same == shown(&original, place, row as usize) => kept += 1,
                other => _ = random.insert(other),
            }
        }
        assert!(random.len() > 2 && random.is_subset(&known), "{random:?}");
        // A random value is now and then the true one.
        let kept_share = 0.1 + 0.1 / known.len() as f64;
        for (count, expected) in [(hidden, 0.8), (kept, kept_share)] {
            let share = f64::from(count) / targets.rows.len() as f64;
            let name = &channel.name;
            assert!(
                (share - expected).abs() < 0.03,
                "{name}: {share}, expected {expected}"
            );
        }
    }
}

#[test]
fn channels_pick_their_steps_together_or_each_its_own() {
    // By event and channel: whether it is picked, and whether it is hidden.
    let events = |mode: MaskMode| -> Vec<[(bool, bool); 2]> {
        let (_, masking, batch, masked) = masked(mode, &["country", "amount"], 0.3);
        let of_channel = |row: usize, channel: usize| {
            let picked = masked.targets[channel].rows.contains(&(row as u32));
            let place = &masking.channels[channel].place;
            (picked, shown(&masked, place, row).is_none())
        };
        let rows = (0..batch.tokens()).filter(|&row| !batch.is_snapshot[row]);
        rows.map(|row| [0, 1].map(|channel| of_channel(row, channel)))
            .collect()
    };
    let together = events(MaskMode::PerStep);
    assert!(together.iter().all(|[country, amount]| country == amount));

    let own = events(MaskMode::PerChannel);
    for (picked, expected) in [
        ([true, true], 0.3 * 0.3),
        ([true, false], 0.3 * 0.7),
        ([false, true], 0.3 * 0.7),
    ] {
        let those = own
            .iter()
            .filter(|of| of.map(|(picked, _)| picked) == picked);
        let share = those.count() as f64 / own.len() as f64;
        assert!((share - expected).abs() < 0.03, "{picked:?}: {share}");
    }
}

#[test]
fn targets_are_the_true_values() {
    let (dataset, _, batch, masked) = masked(MaskMode::PerStep, &["product", "amount"], 0.3);
    let amount = column(&dataset, "amount");
    let bounds = dataset.schema().channels[3].standardised_quantiles();
    let (products, amounts) = (&masked.targets[0], &masked.targets[1]);
    assert!(products.rows.len() > 50 && amounts.rows.len() > 50);
    for (&row, &value) in products.rows.iter().zip(&products.values) {
        let code = batch.codes[0][row as usize];
        assert_eq!(value, Value::Class(code));
        assert!(code >= FIRST_CODE);
    }
    for (&row, &value) in amounts.rows.iter().zip(&amounts.values) {
        let paid = batch.dense[row as usize * batch.dense_width + amount];
        let bucket = bounds.iter().filter(|&&bound| bound <= paid).count();
        assert_eq!(value, Value::Class(bucket as u32));
    }
}

#[test]
fn a_dense_channel_may_be_told_as_its_number() {
    let dataset = tiny_retail::dataset(20);
    let masking = Masking::new(
        dataset.schema(),
        &["amount".to_owned()],
        DenseTarget::Squared,
        MaskMode::PerStep,
        0.3,
    )
    .unwrap();
    let batch = dataset.pack(&dataset.split(Split::Train));
    let masked = masking.apply(batch.clone(), &mut stream(1, Purpose::Mask, 0, 0));
    let amount = column(&dataset, "amount");
    assert!(!masked.targets[0].rows.is_empty());
    for (&row, &value) in masked.targets[0].rows.iter().zip(&masked.targets[0].values) {
        let paid = batch.dense[row as usize * batch.dense_width + amount];
        assert_eq!(value, Value::Number(paid));
    }
}

#[test]
fn totals_are_hidden_with_their_source_and_after_it() {
    let (dataset, _, batch, masked) = masked(MaskMode::PerStep, &["amount"], 0.2);
    let (amount, spent, steps) = (
        column(&dataset, "amount"),
        column(&dataset, "spent"),
        column(&dataset, "steps"),
    );
    let width = batch.dense_width;
    let mut hidden_ones = 0;
    for sequence in 0..batch.len() {
        let rows = batch.sequence(sequence);
        let mut betrayed = false;
        for row in rows.start..rows.end - 1 {
            let changed = batch.dense[row * width + amount]
                != masked.batch.dense[row * width + amount]
                || masked.hidden[row * width + amount];
            betrayed |= changed;
            assert!(!changed || masked.hidden[row * width + spent]);
            assert!(
                !betrayed || masked.hidden[row * width + spent],
                "a later total gives the amount away"
            );
            assert!(
                !masked.hidden[row * width + spent]
                    || masked.batch.dense[row * width + spent] == 0.0
            );
            assert!(
                !masked.hidden[row * width + steps],
                "the number of steps has no source here"
            );
            hidden_ones += u32::from(changed);
        }
    }
    assert!(hidden_ones > 20);
}

#[test]
fn channels_that_are_no_source_hide_no_total() {
    let (_, _, _, masked) = masked(MaskMode::PerStep, &["product", "country"], 0.5);
    assert!(masked.hidden.iter().all(|hidden| !hidden));
}

#[test]
fn visits_are_hidden_whole_with_all_totals() {
    let (dataset, _, batch, masked) = masked(MaskMode::Visit, &["product", "country"], 0.4);
    let (spent, steps) = (column(&dataset, "spent"), column(&dataset, "steps"));
    let width = batch.dense_width;
    let is_hidden = |row: usize| masked.batch.codes[1][row] == MASK_CODE;
    let mut visits = 0;
    for sequence in 0..batch.len() {
        let rows = batch.sequence(sequence);
        for row in rows.start..rows.end - 1 {
            for other in
                (rows.start..rows.end - 1).filter(|&other| batch.visit[other] == batch.visit[row])
            {
                assert_eq!(is_hidden(row), is_hidden(other));
            }
            if is_hidden(row) {
                visits += 1;
                assert!(masked.hidden[row * width + spent] && masked.hidden[row * width + steps]);
            }
        }
    }
    assert!(visits > 50);
}

#[test]
fn a_sequence_that_is_hidden_whole_leaves_nothing_to_copy() {
    let dataset = tiny_retail::of_one_visit(60);
    let (_, _, batch, masked) = masked_of(dataset, MaskMode::Visit, &["country"], 0.5);
    let targets = &masked.targets[0];
    let mut whole = 0;
    for sequence in 0..batch.len() {
        let rows = batch.sequence(sequence);
        let events = rows.start as u32..rows.end as u32 - 1;
        let picked = targets.rows.iter().filter(|&row| events.contains(row));
        let picked = picked.count();
        assert!(picked == 0 || picked == events.len());
        whole += u32::from(picked > 0);
    }
    assert!((40..80).contains(&whole), "{whole} of 120");
    assert!(targets.copies.iter().all(Option::is_none));
}

#[test]
fn copying_is_right_for_a_constant_and_wrong_for_a_ring() {
    let (_, _, _, masked) = masked(MaskMode::PerStep, &["product", "country"], 0.15);
    let rate = |targets: &Targets| {
        let values = targets.values.iter().zip(&targets.copies);
        let right = values.filter(|(value, copy)| Some(**value) == **copy);
        right.count() as f64 / targets.rows.len() as f64
    };
    assert!(rate(&masked.targets[0]) < 0.05);
    assert!(rate(&masked.targets[1]) > 0.9);
}

#[test]
fn what_cannot_be_predicted_is_refused_by_name() {
    let dataset = tiny_retail::dataset(5);
    let refusal = |name: &str| {
        let (dense, mode) = (DenseTarget::Buckets, MaskMode::PerStep);
        Masking::new(dataset.schema(), &[name.to_owned()], dense, mode, 0.1)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal("prodact"),
        "`predict`: the dataset has no channel `prodact`; it can be one of product, country, amount, recency"
    );
    assert!(refusal("spent").contains("running total"));
    assert!(refusal("snapshot_month").contains("channel of the snapshot"));
}
