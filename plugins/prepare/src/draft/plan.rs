//! All guesses about a table, put together: what the workflow will say.

use std::collections::HashSet;

use crate::draft::amount::{self, Amount};
use crate::draft::channels::{self, Channel, Fate, Kind};
use crate::draft::column_name::{Names, sql};
use crate::draft::error::DraftError;
use crate::draft::guess::{self, Guess, without_nothings};
use crate::draft::labels::Events;
use crate::draft::roles::{self, Entity, When};
use crate::draft::sample::{Format, Origin, Sample};
use crate::draft::sizes::{Sizes, sizes};
use crate::draft::split_plan::{self, Days, SplitPlan};
use crate::draft::tasks::{self, Material, Task};
use crate::draft::time_format::TimeFormat;

const DAY_MICROS: i64 = 86_400_000_000;
/// Of several channels that could be predicted in pre-training, so many are.
const MOST_PREDICTED: usize = 3;

pub struct Plan<'a> {
    pub guesses: Vec<Guess<'a>>,
    pub entity: Entity,
    pub when: When,
    /// From the file's columns.
    pub channels: Vec<Channel>,
    /// By column of the file.
    pub left_out: Vec<(usize, String)>,
    pub amount: Option<Amount>,
    pub days: Days,
    pub split: SplitPlan,
    pub tasks: Vec<Task>,
    pub sizes: Sizes,
    pub entities: usize,
    /// Several events of an entity at one time.
    pub ties: bool,
    /// Whether times have hours.
    pub has_hours: bool,
    /// Names of what is made, beside the columns.
    pub names: Derived,
}

/// Names of channels, totals and aggregates that are made, none of them a column's.
pub struct Derived {
    pub weekday: String,
    pub hour: String,
    pub month: String,
    pub snapshot_month: String,
    pub gap: String,
    pub recency: String,
    pub steps: String,
    pub visits: String,
    pub spent: String,
    pub events_lately: String,
    pub spent_lately: String,
    pub newest: String,
}

pub fn plan<'a>(
    sample: &'a Sample,
    entity: Option<&str>,
    time: Option<&str>,
) -> Result<Plan<'a>, DraftError> {
    let guesses = guess::columns(sample);
    let when = roles::when(sample, &guesses, time)?;
    let entity = roles::entity(sample, &guesses, when.column, entity)?;
    let mut channels = Vec::new();
    let mut left_out = Vec::new();
    let fates = channels::fates(sample, &guesses, entity.column, when.column);
    for (column, fate) in fates.into_iter().enumerate() {
        match fate {
            Some(Fate::Channel(channel)) => channels.push(channel),
            Some(Fate::LeftOut(why)) => left_out.push((column, why)),
            None => {}
        }
    }
    let events = events(sample, &guesses, &entity, &when);
    let days = days(&events)?;
    let plans = split_plan::plans(days);
    if plans.is_empty() {
        let problem = format!("All events are of one day, {}", days.first);
        return Err(DraftError::new(problem).help(
            "A snapshot stands at 00:00 UTC and needs events before and after it: give data of two days at least",
        ));
    }
    let amount = amount::amount(sample, &guesses, &channels);
    let material = Material {
        sample,
        guesses: &guesses,
        events: &events,
        amount: amount.as_ref(),
        event_kind: amount::event_kind(&guesses, &channels),
    };
    let (split, tasks) = tasks::choose(&material, &plans)
        .ok_or_else(|| DraftError::new("No snapshot fits into the data"))?;
    if tasks.is_empty() {
        return Err(DraftError::new(format!(
            "The {} events of {} entities leave nothing to be predicted: every label would be the same",
            events.len(),
            events.entities()
        ))
        .help("Give more data: more entities, over a longer time"));
    }
    let of_train = events.windows(&split, split.train(), |_| ()).len() as u64;
    // What is read of a large file stands for all of it: there are more entities, or more events of each.
    let parts = sample.total_rows as f64 / sample.rows.max(1) as f64;
    let samples = (of_train as f64 * parts) as u64;
    let sizes = sizes(samples, (events.length(0.9) as f64 * parts) as usize);
    let when_guess = &guesses[when.column];
    let has_hours = (0..sample.rows)
        .filter_map(|row| when.fit.format.micros(when_guess.column.value(row)?))
        .map(|micros| micros.rem_euclid(DAY_MICROS) / 3_600_000_000)
        .collect::<HashSet<i64>>()
        .len()
        > 2;
    let names = Derived::new(&guesses, split.window);
    Ok(Plan {
        entities: events.entities(),
        ties: events.ties,
        entity,
        when,
        channels,
        left_out,
        amount,
        days,
        split,
        tasks,
        sizes,
        has_hours,
        names,
        guesses,
    })
}

fn events(sample: &Sample, guesses: &[Guess], entity: &Entity, when: &When) -> Events {
    let (who, at) = (guesses[entity.column].column, guesses[when.column].column);
    let micros: Vec<Option<i64>> = at
        .values()
        .iter()
        .map(|text| when.fit.format.micros(text))
        .collect();
    let rows = (0..sample.rows).filter_map(|row| {
        let entity = who.code(row)?;
        Some((u32::try_from(entity).ok()?, micros[at.code(row)?]?, row))
    });
    Events::new(rows.collect())
}

fn days(events: &Events) -> Result<Days, DraftError> {
    let days = events
        .range()
        .and_then(|(first, last)| Days::of(first, last));
    days.ok_or_else(|| DraftError::new("No row has both an entity and a time"))
}

impl Derived {
    fn new(guesses: &[Guess], window: i64) -> Derived {
        let mut names = Names::default();
        for guess in guesses {
            names.unique(&guess.name);
        }
        let mut name = |word: &str| names.unique(word);
        Derived {
            weekday: name("weekday"),
            hour: name("hour"),
            month: name("month"),
            snapshot_month: name("snapshot_month"),
            gap: name("gap"),
            recency: name("recency"),
            steps: name("steps"),
            visits: name("visits"),
            spent: name("spent"),
            events_lately: name(&format!("events_{window}d")),
            spent_lately: name(&format!("spent_{window}d")),
            newest: name("newest"),
        }
    }
}

impl Plan<'_> {
    pub fn entity_guess(&self) -> &Guess<'_> {
        &self.guesses[self.entity.column]
    }

    pub fn when_guess(&self) -> &Guess<'_> {
        &self.guesses[self.when.column]
    }

    /// The event's time as SQL writes the column of the events.
    pub fn time_sql(&self) -> String {
        sql(&self.when_guess().name)
    }

    /// SQL that gives the entity's key.
    pub fn entity_sql(&self) -> String {
        let guess = self.entity_guess();
        let whole = guess
            .number
            .as_ref()
            .is_some_and(|numbers| numbers.whole && numbers.wrong == 0);
        let has_point = guess
            .column
            .values()
            .iter()
            .any(|value| value.contains('.'));
        match whole && has_point && guess.column.origin != Origin::Text {
            // Whole numbers that have passed through floating point.
            true => format!("CAST({} AS BIGINT)", guess.sql),
            false => guess.text_sql(),
        }
    }

    /// The strftime pattern of the time where `prepare` is to read it from text; empty for ISO 8601.
    pub fn time_pattern(&self, format: Format) -> Option<&str> {
        match &self.when.fit.format {
            _ if format == Format::Parquet => None,
            TimeFormat::Pattern(pattern) => Some(pattern),
            TimeFormat::Iso => Some(""),
            TimeFormat::Typed | TimeFormat::Epoch(_) => None,
        }
    }

    /// SQL that gives the event's time.
    pub fn when_sql(&self, format: Format) -> String {
        let guess = self.when_guess();
        if self.time_pattern(format).is_some() {
            return guess.sql.clone();
        }
        let text = without_nothings(&guess.sql, &guess.column.nothings());
        self.when.fit.format.sql(&text)
    }

    pub fn months(&self) -> bool {
        self.days.count() >= 240
    }

    /// The channels that pre-training masks and predicts.
    pub fn predicted(&self) -> Vec<String> {
        let of_codes = self
            .channels
            .iter()
            .filter(|channel| !matches!(channel.kind, Kind::Dense { .. }));
        let names = |channel: &Channel| channel.name.clone();
        let mut predicted: Vec<String> = of_codes.map(names).take(MOST_PREDICTED).collect();
        if predicted.is_empty() {
            predicted = self
                .channels
                .iter()
                .map(names)
                .take(MOST_PREDICTED)
                .collect();
        }
        if predicted.is_empty() {
            predicted.push(self.names.weekday.clone());
        }
        predicted
    }
}
