//! What becomes of the columns that are neither entity nor time: channels of a kind, or nothing.

use std::collections::HashSet;

use crate::draft::column_name::has_word;
use crate::draft::guess::{Guess, Numbers, without_nothings};
use crate::draft::number::NumberStyle;
use crate::draft::sample::{Origin, Sample};

/// More distinct values than this make an id of a category.
const MOST_CATEGORIES: usize = 50;
/// Whole numbers of no more distinct values than this are categories.
const MOST_NUMBER_CATEGORIES: usize = 12;
/// Texts longer than this on average are prose.
const PROSE_CHARACTERS: usize = 80;
const PROSE_WORDS: f64 = 6.0;
/// Numbers whose large ones are so many times the middle are taken as logarithms.
const HEAVY_TAIL: f64 = 6.0;

const CODES: [&str; 27] = [
    "id", "code", "no", "nr", "number", "nummer", "key", "ref", "zip", "plz", "postcode", "postal",
    "sku", "ean", "item", "product", "article", "artikel", "shop", "store", "merchant", "category",
    "class", "type", "mcc", "status", "iban",
];
const QUANTITIES: [&str; 32] = [
    "amount", "price", "qty", "quantity", "count", "total", "sum", "value", "duration", "bytes",
    "size", "score", "age", "balance", "betrag", "preis", "menge", "anzahl", "umsatz", "saldo",
    "cost", "fee", "tax", "discount", "rating", "weight", "length", "ms", "seconds", "minutes",
    "pieces", "points",
];

/// A column's place in the workflow.
#[derive(Debug)]
pub enum Fate {
    Channel(Channel),
    /// Why it is left out.
    LeftOut(String),
}

#[derive(Debug, Clone)]
pub struct Channel {
    /// Index of its column.
    pub column: usize,
    pub name: String,
    pub kind: Kind,
    /// SQL over the file's columns that gives its value.
    pub sql: String,
    /// Behind the channel, for the reader.
    pub note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Id { min_count: u64 },
    Category,
    Dense { signed_log: bool },
}

/// By column.
pub fn fates(sample: &Sample, guesses: &[Guess], entity: usize, when: usize) -> Vec<Option<Fate>> {
    let columns = guesses.iter().enumerate();
    columns
        .map(|(at, guess)| {
            if at == entity || at == when {
                return None;
            }
            let fate = match left_out(sample, guess, &guesses[entity]) {
                Some(why) => Fate::LeftOut(why),
                None => Fate::Channel(channel(sample, at, guess)),
            };
            Some(fate)
        })
        .collect()
}

fn left_out(sample: &Sample, guess: &Guess, entity: &Guess) -> Option<String> {
    let column = guess.column;
    let (distinct, present) = (column.distinct(), column.present());
    let why = if column.name.trim().is_empty() {
        "it cannot be named in SQL".to_owned()
    } else if column.origin == Origin::Nested {
        "it has lists or objects".to_owned()
    } else if present == 0 {
        "it is empty".to_owned()
    } else if distinct == 1 && column.missing() == 0 {
        "it has the same value in every row".to_owned()
    } else if !guess.times.is_empty()
        && (guess.number.is_none() || guess.times_are_digits() && is_second_time(guess))
    {
        "it is another time; a channel may be made of it, such as the days from it to the event"
            .to_owned()
    } else if guess
        .number
        .as_ref()
        .is_some_and(|numbers| !is_code(guess, numbers))
    {
        return None;
    } else if is_prose(guess) {
        "it is prose".to_owned()
    } else if distinct * 10 > present * 9 && present > 50 {
        "it has another value in nearly every row".to_owned()
    } else if names_the_entity(sample, guess, entity) {
        "it says who, as the entity does".to_owned()
    } else {
        return None;
    };
    Some(why)
}

fn is_second_time(guess: &Guess) -> bool {
    has_word(
        &guess.column.name,
        &[
            "time",
            "date",
            "timestamp",
            "ts",
            "datum",
            "at",
            "created",
            "updated",
        ],
    )
}

fn is_prose(guess: &Guess) -> bool {
    let values: Vec<&str> = guess.column.real_values().map(|(value, _)| value).collect();
    let count = values.len().max(1);
    let characters: usize = values.iter().map(|value| value.chars().count()).sum();
    let words: usize = values
        .iter()
        .map(|value| value.split_whitespace().count())
        .sum();
    let longest = values.iter().map(|value| value.len()).max().unwrap_or(0);
    let varied = guess.column.distinct() * 2 > guess.column.present();
    longest > 10_000
        || characters / count > PROSE_CHARACTERS
        || (varied && words as f64 / count as f64 > PROSE_WORDS)
}

/// Whether each of its values belongs to one entity alone, as a customer's name does.
fn names_the_entity(sample: &Sample, guess: &Guess, entity: &Guess) -> bool {
    if guess.column.distinct() * 2 < entity.column.distinct() {
        return false;
    }
    let pairs: HashSet<(usize, usize)> = (0..sample.rows)
        .filter_map(|row| Some((guess.column.code(row)?, entity.column.code(row)?)))
        .collect();
    pairs.len() <= guess.column.values().len() + guess.column.values().len() / 50
}

fn is_code(guess: &Guess, numbers: &Numbers) -> bool {
    let name = &guess.column.name;
    if !numbers.whole || numbers.least < 0.0 || has_word(name, &QUANTITIES) {
        return false;
    }
    has_word(name, &CODES) || numbers.one_width || guess.column.distinct() <= MOST_NUMBER_CATEGORIES
}

fn channel(sample: &Sample, at: usize, guess: &Guess) -> Channel {
    let column = guess.column;
    let number = guess
        .number
        .as_ref()
        .filter(|numbers| !is_code(guess, numbers));
    let distinct = column.distinct();
    let (kind, sql, note) = match number {
        Some(numbers) => {
            let signed_log = numbers.large > HEAVY_TAIL * numbers.middle && numbers.middle > 0.0;
            let mut note = format!("from {} to {}", short(numbers.least), short(numbers.most));
            if numbers.wrong > 0 {
                note.push_str(", and some that are no numbers become NULL");
            }
            (
                Kind::Dense { signed_log },
                number_sql(guess, numbers.style),
                note,
            )
        }
        None if distinct <= MOST_CATEGORIES => (
            Kind::Category,
            guess.text_sql(),
            format!("{distinct} values"),
        ),
        None => {
            let min_count = if sample.total_rows > 50_000 { 5 } else { 2 };
            let note = format!("{distinct} values{}", at_least(sample));
            (Kind::Id { min_count }, guess.text_sql(), note)
        }
    };
    Channel {
        column: at,
        name: guess.name.clone(),
        kind,
        sql,
        note,
    }
}

fn at_least(sample: &Sample) -> &'static str {
    match sample.complete {
        true => "",
        false => " in the rows looked at",
    }
}

/// SQL of a number; what the file has as a number already stays as it is.
fn number_sql(guess: &Guess, style: NumberStyle) -> String {
    match guess.column.origin {
        Origin::Number => guess.sql.clone(),
        _ => style.sql(&without_nothings(&guess.sql, &not_finite(guess))),
    }
}

/// Texts that a cast reads as a number which is none: as they stand, and as such numbers are written.
fn not_finite<'a>(guess: &'a Guess) -> Vec<&'a str> {
    let values = guess.column.values().iter().map(String::as_str);
    let mut texts: Vec<&str> = values
        .filter(|text| {
            text.trim()
                .parse()
                .is_ok_and(|number: f64| !number.is_finite())
        })
        .collect();
    if !texts.is_empty() {
        let written = ["NaN", "inf", "-inf"].into_iter();
        let more: Vec<&str> = written.filter(|text| !texts.contains(text)).collect();
        texts.extend(more);
    }
    texts
}

pub fn short(number: f64) -> String {
    match number.abs() {
        x if x >= 1e7 || (x > 0.0 && x < 1e-3) => format!("{number:.2e}"),
        _ => {
            let text = format!("{number:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::guess;
    use crate::draft::sample::{Column, Format};

    fn sample(columns: Vec<(&str, Vec<String>)>) -> Sample {
        let rows = columns[0].1.len();
        let columns = columns.into_iter().map(|(name, values)| {
            let mut column = Column::new(name, Origin::Unknown);
            values.iter().for_each(|value| column.push(Some(value)));
            column
        });
        Sample {
            format: Format::JsonLines,
            columns: columns.collect(),
            rows,
            complete: true,
            total_rows: rows as u64,
            odd_rows: 0,
        }
    }

    fn series(of: impl Fn(usize) -> String) -> Vec<String> {
        (0..200).map(of).collect()
    }

    #[test]
    fn columns_meet_their_fates() {
        let sample = sample(vec![
            ("user", series(|i| format!("u{}", i % 40))),
            ("time", series(|i| format!("2021-01-{:02}", i % 28 + 1))),
            ("item", series(|i| format!("item {}", i % 60))),
            ("shop_id", series(|i| (1000 + i % 70).to_string())),
            ("color", series(|i| ["red", "blue"][i % 2].to_owned())),
            ("bytes", series(|i| (i * i * i).to_string())),
            ("age", series(|i| (20 + i % 50).to_string())),
            ("stars", series(|i| (i % 5).to_string())),
            ("row", series(|i| format!("r{i}"))),
            ("always", series(|_| "x".to_owned())),
            ("nothing", series(|_| String::new())),
            (
                "note",
                series(|i| format!("the customer called {i} times to ask where it is")),
            ),
            ("name", series(|i| format!("Ann {}", i % 40))),
            ("sent_at", series(|i| format!("2021-02-{:02}", i % 28 + 1))),
        ]);
        let guesses = guess::columns(&sample);
        let told: Vec<String> = fates(&sample, &guesses, 0, 1)
            .into_iter()
            .flatten()
            .map(|fate| match fate {
                Fate::Channel(channel) => format!("{} {:?}", channel.name, channel.kind),
                Fate::LeftOut(why) => why,
            })
            .collect();
        let expected = [
            "item Id { min_count: 2 }",
            "shop_id Id { min_count: 2 }",
            "color Category",
            "bytes Dense { signed_log: true }",
            "age Dense { signed_log: false }",
            "stars Category",
            "it has another value in nearly every row",
            "it has the same value in every row",
            "it is empty",
            "it is prose",
            "it says who, as the entity does",
            "it is another time; a channel may be made of it, such as the days from it to the event",
        ];
        assert_eq!(told, expected);
    }
}
