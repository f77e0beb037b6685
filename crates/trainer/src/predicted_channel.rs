//! The channels that are masked and predicted, and what there is to tell of them in a batch.

use supermoe_channels::{DenseSource, FIRST_CODE, PackedBatch, Per, Schema};

use crate::error::TrainError;
use crate::pretrain_params::DenseTarget;
use crate::weighting::{Likelihood, WeightedTask};

/// A channel that is masked and predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictedChannel {
    pub name: String,
    pub place: Place,
    /// Columns of the dense input that betray this channel: totals with it as their source.
    pub totals: Vec<usize>,
}

impl PredictedChannel {
    /// As a weighting sees it.
    pub fn weighted_task(&self) -> WeightedTask {
        WeightedTask {
            name: self.name.clone(),
            likelihood: match self.place {
                Place::Number { .. } => Likelihood::Numbers,
                Place::Codes { .. } | Place::Bucket { .. } => Likelihood::Classes,
            },
        }
    }
}

/// Where a channel stands in a packed batch, and what is told of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// The code, at this index in [`PackedBatch::codes`].
    Codes {
        index: usize,
        /// Number of codes.
        classes: usize,
        /// Codes are hashes: their order says nothing of how frequent they are.
        hashed: bool,
    },
    /// The bucket between these ascending bounds that the value in this column of
    /// [`PackedBatch::dense`] lies in.
    Bucket { column: usize, bounds: Vec<f32> },
    /// The value in this column of [`PackedBatch::dense`].
    Number { column: usize },
}

/// What is told of a channel at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A code or a bucket.
    Class(u32),
    Number(f32),
}

/// Where the channel of this name stands.
///
/// # Errors
/// A name that is no channel, a channel of the snapshot or the entity, a running total, a channel of codes
/// without any, a dense channel without quantiles that is to be told by its bucket.
pub fn place_of(schema: &Schema, name: &str, dense: DenseTarget) -> Result<Place, TrainError> {
    let refuse = |reason: String| Err(TrainError::param("predict", reason));
    let Some(index) = schema.channel(name) else {
        let known: Vec<&str> = schema
            .channels
            .iter()
            .filter(|channel| channel.total.is_none() && !equal_in_all_steps(channel.per))
            .map(|channel| channel.name.as_str())
            .collect();
        return refuse(format!(
            "the dataset has no channel `{name}`; it can be one of {}",
            known.join(", ")
        ));
    };
    let channel = &schema.channels[index];
    if channel.total.is_some() {
        return refuse(format!(
            "`{name}` is a running total; predict its source instead"
        ));
    }
    if equal_in_all_steps(channel.per) {
        let of = match channel.per {
            Per::Entity => "entity",
            _ => "snapshot",
        };
        return refuse(format!(
            "`{name}` is a channel of the {of}, equal in all steps: there is nothing to predict"
        ));
    }
    if !channel.is_dense() && channel.hash_buckets == 0 && channel.vocabulary <= FIRST_CODE {
        return refuse(format!(
            "no value of `{name}` has a code of its own: all are NULL in the training samples, or rarer than `min_count`; leave \
             it out, or lower `min_count` in `prepare`"
        ));
    }
    if !channel.is_dense() {
        // `index` is one of the code channels, or it would be dense.
        let place = schema.code_channels().iter().position(|&of| of == index);
        return Ok(Place::Codes {
            index: place.unwrap_or_default(),
            classes: channel.vocabulary as usize,
            hashed: channel.hash_buckets > 0,
        });
    }
    if channel.quantiles.is_empty() && dense == DenseTarget::Buckets {
        return refuse(format!(
            "nearly all values of `{name}` in the training samples are the same, so there are no buckets to tell \
             apart; leave it out, or set `dense: squared`"
        ));
    }
    let columns = schema.dense_columns();
    let column = columns
        .iter()
        .position(|column| column.source == DenseSource::Channel(index))
        .unwrap_or_default();
    Ok(match dense {
        DenseTarget::Buckets => Place::Bucket {
            column,
            bounds: channel.standardised_quantiles(),
        },
        DenseTarget::Squared => Place::Number { column },
    })
}

/// Whether all steps of a sample have one value of such a channel, the snapshot step too.
pub fn equal_in_all_steps(per: Per) -> bool {
    match per {
        Per::Step | Per::SampleStep => false,
        Per::Snapshot | Per::Entity => true,
    }
}

/// What there is to tell of a channel at a row; `None` where it is unknown.
pub fn value_at(batch: &PackedBatch, place: &Place, row: usize) -> Option<Value> {
    let number = |column: usize| batch.dense[row * batch.dense_width + column];
    match place {
        Place::Codes { index, .. } => Some(batch.codes[*index][row])
            .filter(|&code| code >= FIRST_CODE)
            .map(Value::Class),
        Place::Bucket { column, bounds } => {
            let value = number(*column);
            let bucket = bounds.partition_point(|&bound| bound <= value);
            Some(Value::Class(bucket as u32))
        }
        Place::Number { column } => Some(Value::Number(number(*column))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny_retail;

    fn refusal(schema: &Schema, name: &str) -> String {
        let place = place_of(schema, name, DenseTarget::Buckets);
        place.unwrap_err().to_string()
    }

    #[test]
    fn channels_of_the_entity_and_of_one_value_are_refused() {
        let mut schema = tiny_retail::dataset(4).schema().clone();
        schema.channels[1].per = Per::Entity;
        schema.channels[3].quantiles.clear();
        schema.channels[0].vocabulary = FIRST_CODE;
        assert_eq!(
            refusal(&schema, "product"),
            "`predict`: no value of `product` has a code of its own: all are NULL in the training samples, or rarer than \
             `min_count`; leave it out, or lower `min_count` in `prepare`"
        );
        assert_eq!(
            refusal(&schema, "country"),
            "`predict`: `country` is a channel of the entity, equal in all steps: there is nothing to predict"
        );
        assert_eq!(
            refusal(&schema, "amount"),
            "`predict`: nearly all values of `amount` in the training samples are the same, so there are no buckets to \
             tell apart; leave it out, or set `dense: squared`"
        );
        assert!(refusal(&schema, "city").ends_with("it can be one of product, amount, recency"));
    }

    #[test]
    fn what_is_told_follows_the_kind_of_channel() {
        let mut schema = tiny_retail::dataset(4).schema().clone();
        schema.channels[0].hash_buckets = 12;
        let place = |name: &str, dense| place_of(&schema, name, dense).unwrap();
        assert_eq!(
            place("product", DenseTarget::Squared),
            Place::Codes {
                index: 0,
                classes: 15,
                hashed: true
            }
        );
        let number = place("amount", DenseTarget::Squared);
        assert_eq!(number, Place::Number { column: 0 });
        let bounds = schema.channels[3].standardised_quantiles();
        let bucket = place("amount", DenseTarget::Buckets);
        assert_eq!(bucket, Place::Bucket { column: 0, bounds });
    }
}
