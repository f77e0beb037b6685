//! A made-up shop: a small dataset with every kind of channel, for tests that train.
//!
//! Products of an entity follow one another in a ring, so that a masked one can be told from its
//! neighbours but not by copying them. `buys` is likely where the entity came often; `returns` has
//! no label for a third of the samples.

mod kinds;
mod wide;

use indexmap::IndexMap;
use supermoe_channels::{
    Aggregate, Channel, ChannelKind, ChannelValues, Dataset, FIRST_CODE, Per, SCHEMA_VERSION,
    Samples, Schema, Split, SplitCounts, Steps, Task, TaskKind, Total, UNKNOWN_CODE, Vocabulary,
};

pub use self::kinds::dataset_of_all_kinds;
pub use self::wide::{dataset_of_channel_kinds, dataset_of_channels};

const PRODUCTS: u32 = 12;
const COUNTRIES: u32 = 3;
const MAX_STEPS: u32 = 14;
const DAY_MS: i64 = 86_400_000;

/// Every entity has a sample in each of four snapshots: two for training, one each for the others.
pub fn dataset(entities: u32) -> Dataset {
    dataset_of(entities, |_| true)
}

/// The same with the channels alone for which `keep` holds, by their name; without any dense one there
/// are no aggregates either.
pub fn dataset_of(entities: u32, keep: impl Fn(&str) -> bool) -> Dataset {
    let mut parts = parts(entities);
    parts.keep(|channel| keep(&channel.name));
    parts.fitted()
}

/// The same after a change of its schema, scales included, and of its samples.
pub fn dataset_with(entities: u32, change: impl FnOnce(&mut Schema, &mut Samples)) -> Dataset {
    let mut parts = parts(entities);
    parts.schema = dataset(entities).schema().clone();
    change(&mut parts.schema, &mut parts.samples);
    parts.build()
}

/// The same events, prepared again where two products and a country are new: all values have other codes.
/// The new ones, `product-new-0` and so on, have the first ones; the old ones stand in reverse.
pub fn refitted(entities: u32) -> Dataset {
    let mut parts = parts(entities);
    for (channel, new) in [("product", 2), ("country", 1)] {
        let index = parts.schema.channel(channel).expect("a channel");
        let vocabulary = &parts.vocabularies[channel];
        let known = vocabulary.entries().len() as u32;
        let names = (0..new).map(|i| format!("{channel}-new-{i}"));
        let names = names.chain(
            vocabulary
                .entries()
                .iter()
                .rev()
                .map(|entry| entry.value.clone()),
        );
        let counts = names.zip((1..1000).rev());
        let vocabulary = Vocabulary::from_counts(counts, 1);
        parts.schema.channels[index].vocabulary = vocabulary.codes();
        parts.vocabularies.insert(channel.to_owned(), vocabulary);
        if let ChannelValues::Codes { values, .. } = &mut parts.values[index] {
            let of_values = values.iter_mut().filter(|code| **code >= FIRST_CODE);
            of_values.for_each(|code| *code = FIRST_CODE + new + known - 1 - (*code - FIRST_CODE));
        }
    }
    parts.fitted()
}

/// The same events, but that the oldest and the second oldest of each entity have exchanged their products.
pub fn reordered(entities: u32) -> Dataset {
    let mut parts = parts(entities);
    let product = parts.schema.channel("product").expect("a channel");
    if let ChannelValues::Codes { values, .. } = &mut parts.values[product] {
        let entity = &parts.steps.entity;
        let oldest =
            (1..entity.len()).filter(|&step| step == 1 || entity[step - 1] != entity[step - 2]);
        oldest.for_each(|second| values.swap(second - 1, second));
    }
    parts.fitted()
}

/// The same but for the recencies of events: `change` is given those of each sample without the newest, from
/// the oldest on. Numbers are scaled as in [`dataset`].
pub fn with_recencies(entities: u32, change: impl Fn(&mut [f32])) -> Dataset {
    let mut parts = parts(entities);
    parts.schema = dataset(entities).schema().clone();
    let recency = parts.schema.channel("recency").expect("a channel");
    if let ChannelValues::SampleStepNumbers(values) = &mut parts.values[recency] {
        let mut rest = values.as_mut_slice();
        for &steps in &parts.samples.steps {
            let (of_sample, others) = rest.split_at_mut(steps as usize);
            change(&mut of_sample[..steps as usize - 1]);
            rest = others;
        }
    }
    parts.build()
}

/// The same, but that all steps of an entity are one visit.
pub fn of_one_visit(entities: u32) -> Dataset {
    let mut parts = parts(entities);
    parts.steps.visit.fill(0);
    parts.fitted()
}

struct Parts {
    schema: Schema,
    vocabularies: IndexMap<String, Vocabulary>,
    steps: Steps,
    values: Vec<ChannelValues>,
    samples: Samples,
}

impl Parts {
    /// Drops the other channels; without any dense one the aggregates go too.
    fn keep(&mut self, keep: impl Fn(&Channel) -> bool) {
        let kept: Vec<bool> = self.schema.channels.iter().map(&keep).collect();
        let mut kept = kept.into_iter();
        self.values.retain(|_| kept.next().unwrap_or_default());
        self.schema.channels.retain(keep);
        let schema = &self.schema;
        self.vocabularies
            .retain(|name, _| schema.channel(name).is_some());
        if !self.schema.channels.iter().any(Channel::is_dense) {
            self.schema.aggregates.clear();
            self.samples.aggregates.clear();
        }
    }

    /// Scaled by its own numbers.
    fn fitted(self) -> Dataset {
        let mut dataset = self.build();
        dataset.fit_scales();
        dataset
    }

    fn build(self) -> Dataset {
        Dataset::new(
            self.schema,
            self.vocabularies,
            self.steps,
            self.values,
            self.samples,
        )
        .expect("the parts fit together")
    }
}

fn parts(entities: u32) -> Parts {
    let mut draw = Draw(7);
    let (mut entity_of, mut visit, mut product, mut country) = (vec![], vec![], vec![], vec![]);
    let (mut amount, mut count_total, mut amount_total, mut first) =
        (vec![], vec![], vec![], vec![]);
    for entity in 0..entities {
        first.push(entity_of.len() as u64);
        let steps = 2 + draw.below(MAX_STEPS - 2);
        let (mut ring, home) = (draw.below(PRODUCTS), draw.below(COUNTRIES));
        let (mut when, mut spent) = (0, 0.0);
        for step in 0..steps {
            entity_of.push(entity);
            when += u32::from(step > 0 && draw.below(3) > 0);
            visit.push(when);
            ring = (ring + 1) % PRODUCTS;
            product.push(if draw.below(40) == 0 {
                UNKNOWN_CODE
            } else {
                FIRST_CODE + ring
            });
            country.push(FIRST_CODE + home);
            let paid = 1.0 + f64::from(draw.below(100)) / 10.0;
            amount.push(paid.ln_1p() as f32);
            spent += paid;
            count_total.push(f64::from(step + 1));
            amount_total.push(spent);
        }
    }
    first.push(entity_of.len() as u64);
    let steps = Steps {
        entity: entity_of,
        visit,
    };

    let mut samples = Samples::default();
    let (mut month, mut recency, mut came, mut month_number) = (vec![], vec![], vec![], vec![]);
    let (mut buys, mut returns) = (vec![], vec![]);
    for (number, split) in [Split::Train, Split::Train, Split::Valid, Split::Test]
        .into_iter()
        .enumerate()
    {
        for entity in 0..entities {
            let (start, end) = (first[entity as usize], first[entity as usize + 1]);
            // Later snapshots see more of the history.
            let seen = (end - start).min((end - start) / 2 + 1 + number as u64);
            samples.entity_index.push(entity);
            samples.entity.push(format!("entity-{entity:04}"));
            samples
                .snapshot_ms
                .push((18_000 + 30 * number as i64) * DAY_MS);
            samples.split.push(split);
            samples.first_step.push(start);
            samples.steps.push(seen as u32);
            samples.window_first.push(start);
            month.push(FIRST_CODE + number as u32);
            month_number.push(number as f32);
            came.push((seen as f32).ln_1p());
            recency.extend((0..seen).rev().map(|days| (days as f32).ln_1p()));
            let noise = draw.below(10) == 0;
            buys.push(f32::from((seen > 5) != noise));
            returns.push(if draw.below(3) == 0 {
                f32::NAN
            } else {
                f32::from(draw.below(4) == 0)
            });
        }
    }
    samples.aggregates = vec![came, month_number];
    samples.labels = vec![buys, returns];

    let channel = |name: &str, kind, per, vocabulary: u32, total: Option<Total>| Channel {
        name: name.into(),
        kind,
        per,
        vocabulary,
        hash_buckets: 0,
        mean: 0.0,
        deviation: 1.0,
        quantiles: vec![],
        total,
    };
    let task = |name: &str| Task {
        name: name.into(),
        kind: TaskKind::Binary,
        classes: vec![],
        mean: 0.0,
        deviation: 1.0,
        within_seconds: 30 * 86_400,
    };
    let aggregate = |name: &str| Aggregate {
        name: name.into(),
        mean: 0.0,
        deviation: 1.0,
    };
    let schema = Schema {
        version: SCHEMA_VERSION,
        entity: "entity".into(),
        time: "time".into(),
        length: MAX_STEPS,
        history_seconds: 365 * 86_400,
        channels: vec![
            channel(
                "product",
                ChannelKind::Id,
                Per::Step,
                FIRST_CODE + PRODUCTS,
                None,
            ),
            channel(
                "country",
                ChannelKind::Category,
                Per::Step,
                FIRST_CODE + COUNTRIES,
                None,
            ),
            channel(
                "snapshot_month",
                ChannelKind::Category,
                Per::Snapshot,
                FIRST_CODE + 4,
                None,
            ),
            channel("amount", ChannelKind::Dense, Per::Step, 0, None),
            channel("recency", ChannelKind::Dense, Per::SampleStep, 0, None),
            channel(
                "steps",
                ChannelKind::Dense,
                Per::Step,
                0,
                Some(Total { source: vec![] }),
            ),
            channel(
                "spent",
                ChannelKind::Dense,
                Per::Step,
                0,
                Some(Total {
                    source: vec!["amount".into()],
                }),
            ),
        ],
        aggregates: vec![aggregate("came"), aggregate("month_number")],
        tasks: vec![task("buys"), task("returns")],
        splits: SplitCounts {
            train: 2 * u64::from(entities),
            valid: entities.into(),
            test: entities.into(),
            predict: 0,
        },
        snapshots: vec![
            "2019-04-14".into(),
            "2019-05-14".into(),
            "2019-06-13".into(),
            "2019-07-13".into(),
        ],
    };
    let values = vec![
        ChannelValues::Codes {
            values: product,
            first_of_window: None,
        },
        ChannelValues::Codes {
            values: country,
            first_of_window: None,
        },
        ChannelValues::SnapshotCodes(month),
        ChannelValues::Numbers {
            values: amount,
            first_of_window: None,
        },
        ChannelValues::SampleStepNumbers(recency),
        ChannelValues::Total(count_total),
        ChannelValues::Total(amount_total),
    ];
    let vocabulary = |prefix: &str, count: u32| {
        // Falling counts, so that value i has code 3 + i.
        Vocabulary::from_counts(
            (0..count).map(|i| (format!("{prefix}-{i:02}"), u64::from(1000 - i))),
            1,
        )
    };
    let vocabularies = IndexMap::from([
        ("product".to_owned(), vocabulary("product", PRODUCTS)),
        ("country".to_owned(), vocabulary("country", COUNTRIES)),
        ("snapshot_month".to_owned(), vocabulary("month", 4)),
    ]);
    Parts {
        schema,
        vocabularies,
        steps,
        values,
        samples,
    }
}

/// A small generator of its own, so that the data never change under the golden digests.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as u32) % bound
    }
}
