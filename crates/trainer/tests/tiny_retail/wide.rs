//! The shop with many channels.

use supermoe_channels::{Channel, ChannelKind, ChannelValues, Dataset, FIRST_CODE, Vocabulary};

use super::{Draw, Parts, parts};

/// So many channels in all; those that are added tell nothing, and are categories, ids and numbers in turn.
pub fn dataset_of_channels(entities: u32, channels: usize) -> Dataset {
    wide(entities, channels).fitted()
}

/// The same with the channels of these kinds alone; without any dense one there are no aggregates either.
pub fn dataset_of_channel_kinds(entities: u32, channels: usize, kinds: &[ChannelKind]) -> Dataset {
    let mut parts = wide(entities, channels);
    parts.keep(|channel| kinds.contains(&channel.kind));
    parts.fitted()
}

fn wide(entities: u32, channels: usize) -> Parts {
    let mut parts = parts(entities);
    let events = parts.steps.entity.len() as u32;
    let of_entity = parts.schema.channels[1].clone(); // a category
    for number in parts.schema.channels.len()..channels {
        let (name, mut draw) = (format!("channel_{number:03}"), Draw(number as u64));
        let vocabulary = 2 + number as u32 % 7;
        let (kind, values) = if number % 3 == 0 {
            let values = (0..events).map(|_| draw.below(100) as f32 / 25.0 - 2.0);
            let (values, first_of_window) = (values.collect(), None);
            let numbers = ChannelValues::Numbers {
                values,
                first_of_window,
            };
            (ChannelKind::Dense, numbers)
        } else {
            let values = (0..events).map(|_| FIRST_CODE + draw.below(vocabulary));
            let (values, first_of_window) = (values.collect(), None);
            let codes = ChannelValues::Codes {
                values,
                first_of_window,
            };
            let counts = (0..vocabulary).map(|i| (format!("{name}-{i}"), u64::from(9 - i)));
            let known = Vocabulary::from_counts(counts, 1);
            parts.vocabularies.insert(name.clone(), known);
            let id = number % 3 == 1;
            let kinds = [ChannelKind::Category, ChannelKind::Id];
            (kinds[usize::from(id)], codes)
        };
        let dense = kind == ChannelKind::Dense;
        parts.schema.channels.push(Channel {
            name,
            kind,
            vocabulary: if dense { 0 } else { FIRST_CODE + vocabulary },
            ..of_entity.clone()
        });
        parts.values.push(values);
    }
    parts
}
