//! What an encoder's weights assume of a dataset, channel by channel, so that a mismatch can be
//! told by name.

use serde::{Deserialize, Serialize};
use supermoe_channels::{Channel, ChannelKind, Dataset, Per};

use crate::name_difference::NameDifference;

/// The channels that a model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelFingerprint {
    /// Positions of a sequence, the snapshot step counted.
    pub positions: usize,
    pub channels: Vec<ChannelEntry>,
    pub aggregates: Vec<AggregateEntry>,
    /// BLAKE3 of all the above.
    pub digest: String,
}

/// One channel of the steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelEntry {
    pub name: String,
    pub kind: ChannelKind,
    pub per: Per,
    /// Number of codes; 0 for dense channels.
    pub vocabulary: u32,
    /// Number of buckets where codes are hashes, else 0.
    pub hash_buckets: u32,
    /// BLAKE3 of the vocabulary's values, or of mean and deviation.
    pub values: String,
}

/// One aggregate of the snapshot step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AggregateEntry {
    pub name: String,
    /// BLAKE3 of mean and deviation.
    pub values: String,
}

impl ChannelFingerprint {
    pub fn of(dataset: &Dataset) -> ChannelFingerprint {
        let schema = dataset.schema();
        let channels: Vec<ChannelEntry> = schema
            .channels
            .iter()
            .map(|channel| ChannelEntry {
                name: channel.name.clone(),
                kind: channel.kind,
                per: channel.per,
                vocabulary: channel.vocabulary,
                hash_buckets: channel.hash_buckets,
                values: values_digest(dataset, channel),
            })
            .collect();
        let aggregates: Vec<AggregateEntry> = schema
            .aggregates
            .iter()
            .map(|aggregate| AggregateEntry {
                name: aggregate.name.clone(),
                values: scale_digest(aggregate.mean, aggregate.deviation),
            })
            .collect();
        let positions = schema.positions();
        let digest = digest_of(&(positions, &channels, &aggregates));
        ChannelFingerprint {
            positions,
            channels,
            aggregates,
            digest,
        }
    }

    /// What stands in the way of using weights of `self` on a dataset of `here` as they are, in words;
    /// `None` where nothing does.
    pub fn difference(&self, here: &ChannelFingerprint) -> Option<String> {
        if self.digest == here.digest {
            return None;
        }
        let structure = self.structural_difference(here);
        structure.or_else(|| self.fitted_difference(here))
    }

    /// What differs beside vocabularies and scales, which a dataset is fitted to.
    pub fn structural_difference(&self, here: &ChannelFingerprint) -> Option<String> {
        let (theirs, ours) = (self.channel_names(), here.channel_names());
        if let Some(difference) = NameDifference::of("channels", theirs, ours) {
            return Some(format!("{}: {SAME_CHANNELS}", difference.text()));
        }
        for (theirs, ours) in self.channels.iter().zip(&here.channels) {
            let name = &ours.name;
            if theirs.kind != ours.kind || theirs.per != ours.per {
                return Some(format!(
                    "the channel `{name}` is of another kind in the dataset: {SAME_CHANNELS}"
                ));
            }
            if theirs.hash_buckets != ours.hash_buckets {
                return Some(format!(
                    "the channel `{name}` is hashed otherwise in the dataset: {SAME_CHANNELS}"
                ));
            }
        }
        if self.positions != here.positions {
            return Some(format!(
                "it was trained with `length` {}, and the dataset has {}: prepare it with the same",
                self.positions.saturating_sub(1),
                here.positions.saturating_sub(1)
            ));
        }
        self.aggregates_difference(here)
    }

    fn aggregates_difference(&self, here: &ChannelFingerprint) -> Option<String> {
        let (theirs, ours) = (self.aggregate_names(), here.aggregate_names());
        let difference = NameDifference::of("aggregates", theirs, ours)?;
        let advice = match difference.any(|name| name.starts_with(EMBEDDING)) {
            true => "give both stages the same `embeddings`, or none",
            false => "prepare the dataset with the same `aggregates`",
        };
        Some(format!("{}: {advice}", difference.text()))
    }

    fn channel_names(&self) -> Vec<&str> {
        let names = self.channels.iter().map(|channel| channel.name.as_str());
        names.collect()
    }

    fn aggregate_names(&self) -> Vec<&str> {
        let names = self.aggregates.iter();
        names.map(|aggregate| aggregate.name.as_str()).collect()
    }

    /// Vocabularies and scales that differ where the structure is the same.
    fn fitted_difference(&self, here: &ChannelFingerprint) -> Option<String> {
        let told = self.first_fitted_otherwise(here)?;
        Some(format!("{told}; {FIT_ALIKE}"))
    }

    fn first_fitted_otherwise(&self, here: &ChannelFingerprint) -> Option<String> {
        let mut channels = self.channels.iter().zip(&here.channels);
        if let Some((theirs, ours)) = channels.find(|(theirs, ours)| theirs != ours) {
            let name = &ours.name;
            return Some(if theirs.vocabulary != ours.vocabulary {
                format!(
                    "the channel `{name}` had {} codes, and has {} in the dataset",
                    theirs.vocabulary, ours.vocabulary
                )
            } else if ours.kind == ChannelKind::Dense {
                format!("the channel `{name}` is scaled otherwise in the dataset")
            } else {
                format!("the codes of channel `{name}` stand for other values in the dataset")
            });
        }
        let mut aggregates = self.aggregates.iter().zip(&here.aggregates);
        let differing = aggregates.find(|(theirs, ours)| theirs != ours);
        differing.map(|(_, ours)| {
            format!(
                "the aggregate `{}` is scaled otherwise in the dataset",
                ours.name
            )
        })
    }
}

/// Before the number of each aggregate that embeddings become.
const EMBEDDING: &str = "embedding_";

const SAME_CHANNELS: &str = "prepare the dataset with the same `channels` and `totals`";
const FIT_ALIKE: &str = "prepare the dataset with that of the training as its input `fitted`";

fn values_digest(dataset: &Dataset, channel: &Channel) -> String {
    let Some(vocabulary) = dataset.vocabulary(&channel.name) else {
        return scale_digest(channel.mean, channel.deviation);
    };
    let mut hasher = blake3::Hasher::new();
    for entry in vocabulary.entries() {
        hasher.update(&(entry.value.len() as u64).to_le_bytes());
        hasher.update(entry.value.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn scale_digest(mean: f64, deviation: f64) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&mean.to_le_bytes());
    hasher.update(&deviation.to_le_bytes());
    hasher.finalize().to_hex().to_string()
}

fn digest_of(value: &impl Serialize) -> String {
    // These are numbers and strings: they always have a JSON form.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    blake3::hash(&bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny_retail;

    fn fingerprint() -> ChannelFingerprint {
        ChannelFingerprint::of(&tiny_retail::dataset(4))
    }

    #[test]
    fn the_same_dataset_has_no_difference() {
        assert_eq!(fingerprint().difference(&fingerprint()), None);
        let text = serde_json::to_string(&fingerprint()).unwrap();
        assert_eq!(
            serde_json::from_str::<ChannelFingerprint>(&text).unwrap(),
            fingerprint()
        );
    }

    #[test]
    fn what_is_prepared_again_has_the_same_structure() {
        let refitted = ChannelFingerprint::of(&tiny_retail::refitted(4));
        assert_eq!(fingerprint().structural_difference(&refitted), None);
        assert_eq!(
            fingerprint().difference(&refitted).unwrap(),
            format!("the channel `product` had 15 codes, and has 17 in the dataset; {FIT_ALIKE}")
        );
    }

    #[test]
    fn a_difference_is_told_by_name() {
        let told = |change: &dyn Fn(&mut ChannelFingerprint)| {
            let mut other = fingerprint();
            change(&mut other);
            other.digest = "other".into();
            fingerprint().difference(&other).unwrap()
        };
        assert_eq!(
            told(&|other| other.channels[0].vocabulary = 99),
            format!("the channel `product` had 15 codes, and has 99 in the dataset; {FIT_ALIKE}")
        );
        assert_eq!(
            told(&|other| other.channels[1].values = "x".into()),
            format!(
                "the codes of channel `country` stand for other values in the dataset; {FIT_ALIKE}"
            )
        );
        assert_eq!(
            told(&|other| other.channels[0].hash_buckets = 12),
            format!("the channel `product` is hashed otherwise in the dataset: {SAME_CHANNELS}")
        );
        let named = told(&|other| other.channels[3].name = "sum".into());
        assert_eq!(
            named,
            format!(
                "it was trained with the channels `amount`, and the dataset has `sum` instead: {SAME_CHANNELS}"
            )
        );
        assert_eq!(
            told(&|other| other.positions = 9),
            "it was trained with `length` 14, and the dataset has 8: prepare it with the same"
        );
        assert_eq!(
            told(&|other| other.aggregates.truncate(1)),
            "it was trained with the aggregates `month_number`, which the dataset does not have: prepare the dataset with the same \
             `aggregates`"
        );
        let aggregate = |name: &str| AggregateEntry {
            name: name.to_owned(),
            values: String::new(),
        };
        assert!(
            told(&|other| other.aggregates.extend((0..20).map(|i| aggregate(&format!("embedding_{i}")))))
                .ends_with("`embedding_7` and 12 more, which the dataset has: give both stages the same `embeddings`, or none")
        );
    }
}
