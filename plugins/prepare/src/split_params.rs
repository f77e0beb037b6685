//! `with.splits`: which samples are for training, validation and test, or to be predicted.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::dates::Date;

/// By time: `{ by: time, train: [..], valid: [..], test: [..] }`. By entity:
/// `{ by: entity, snapshots: [..], valid: 0.1, test: 0.2 }`. With an input `fitted`, samples without
/// labels: `{ predict: [..] }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitParams {
    /// `time`: every entity in every split, the snapshots apart. `entity`: every snapshot in every split,
    /// the entities apart, by a hash of their keys.
    #[serde(default)]
    pub by: SplitBy,
    /// By time: snapshot dates to train on, a list such as `[2011-08-01, 2011-09-01]`, or
    /// `{ from: 2011-01-01, to: 2011-08-01, every: month }`.
    #[serde(default, deserialize_with = "train_part")]
    pub train: Snapshots,
    /// By time: snapshot dates for early stopping and choices, written as those of `train`. By entity:
    /// the share of entities, such as `0.1`.
    #[serde(default, deserialize_with = "valid_part")]
    pub valid: SplitPart,
    /// By time: snapshot dates for the final figures, written as those of `train`; no label window of
    /// train or valid may end after the first. By entity: the share of entities, such as `0.2`.
    #[serde(default, deserialize_with = "test_part")]
    pub test: SplitPart,
    /// By entity: the snapshot dates of all splits, written as those of `train`.
    #[serde(default, deserialize_with = "snapshots_part")]
    pub snapshots: Snapshots,
    /// Snapshot dates of samples without labels, written as those of `train`: for `predict`, or to fit
    /// nothing on. Without `train` or `snapshots` it needs the input `fitted`.
    #[serde(default, deserialize_with = "predict_part")]
    pub predict: Snapshots,
}

fn train_part<'de, D: Deserializer<'de>>(reader: D) -> Result<Snapshots, D::Error> {
    part_of("train", reader)
}

fn valid_part<'de, D: Deserializer<'de>>(reader: D) -> Result<SplitPart, D::Error> {
    part_of("valid", reader)
}

fn test_part<'de, D: Deserializer<'de>>(reader: D) -> Result<SplitPart, D::Error> {
    part_of("test", reader)
}

fn snapshots_part<'de, D: Deserializer<'de>>(reader: D) -> Result<Snapshots, D::Error> {
    part_of("snapshots", reader)
}

fn predict_part<'de, D: Deserializer<'de>>(reader: D) -> Result<Snapshots, D::Error> {
    part_of("predict", reader)
}

/// Says which part is wrong.
fn part_of<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    part: &str,
    reader: D,
) -> Result<T, D::Error> {
    T::deserialize(reader).map_err(|error| D::Error::custom(format!("with.splits.{part}: {error}")))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Every entity in every split, the snapshots apart.
    #[default]
    Time,
    /// Every snapshot in every split, the entities apart: a stable hash of the entity's key chooses.
    Entity,
}

/// The snapshots of a split by time, or the share of entities of one by entity.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum SplitPart {
    Dates(Vec<Date>),
    Range(SnapshotRange),
    Share(#[schemars(range(min = 0.0, max = 1.0))] f64),
}

impl Default for SplitPart {
    fn default() -> Self {
        SplitPart::Dates(Vec::new())
    }
}

/// By hand, as that of [`Snapshots`].
impl<'de> Deserialize<'de> for SplitPart {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(SplitPartVisitor)
    }
}

struct SplitPartVisitor;

impl<'de> Visitor<'de> for SplitPartVisitor {
    type Value = SplitPart;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a list of dates, or a map of `from`, `to` and `every`; with `by: entity` a share such as 0.1",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<SplitPart, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(SplitPart::Dates)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SplitPart, A::Error> {
        SnapshotRange::deserialize(MapAccessDeserializer::new(map)).map(SplitPart::Range)
    }

    fn visit_f64<E: Error>(self, share: f64) -> Result<SplitPart, E> {
        Ok(SplitPart::Share(share))
    }

    fn visit_u64<E: Error>(self, share: u64) -> Result<SplitPart, E> {
        Ok(SplitPart::Share(share as f64))
    }

    fn visit_i64<E: Error>(self, share: i64) -> Result<SplitPart, E> {
        Ok(SplitPart::Share(share as f64))
    }
}

/// A list of dates, or `from`, `to` and `every`. A snapshot stands at 00:00 UTC of its date.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum Snapshots {
    Dates(Vec<Date>),
    Range(SnapshotRange),
}

/// By hand, since a derived one would not say which date is wrong.
impl<'de> Deserialize<'de> for Snapshots {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(SnapshotsVisitor)
    }
}

struct SnapshotsVisitor;

impl<'de> Visitor<'de> for SnapshotsVisitor {
    type Value = Snapshots;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of dates, or a map of `from`, `to` and `every`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Snapshots, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Snapshots::Dates)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Snapshots, A::Error> {
        SnapshotRange::deserialize(MapAccessDeserializer::new(map)).map(Snapshots::Range)
    }
}

impl Default for Snapshots {
    fn default() -> Self {
        Snapshots::Dates(Vec::new())
    }
}

/// `from`, and every such step after it up to and including `to`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRange {
    /// The first snapshot, written `2011-01-01`.
    pub from: Date,
    /// No snapshot is after this date, written `2011-08-01`.
    pub to: Date,
    /// The step from one snapshot to the next: `day`, `week` or `month`.
    pub every: Every,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    Day,
    Week,
    Month,
}
