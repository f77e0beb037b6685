//! What tasks are asked about: an amount that is spent, and the kind of an event.

use crate::draft::channels::{Channel, Kind};
use crate::draft::column_name::{has_word, sql};
use crate::draft::guess::Guess;
use crate::draft::sample::Sample;

/// What is spent, the clearest first.
const AMOUNTS: [&str; 26] = [
    "amount", "betrag", "importe", "montant", "gmv", "revenue", "umsatz", "spend", "spent", "paid",
    "total", "sum", "summe", "sales", "value", "payment", "price", "preis", "precio", "prix",
    "fare", "cost", "eur", "usd", "gbp", "chf",
];
const UNIT_PRICES: [&str; 6] = [
    "price",
    "preis",
    "unitprice",
    "precio",
    "prix",
    "einzelpreis",
];
const PIECES: [&str; 7] = [
    "quantity", "qty", "menge", "anzahl", "pieces", "units", "cantidad",
];
const EVENTS: [&str; 18] = [
    "event",
    "action",
    "type",
    "typ",
    "status",
    "activity",
    "kind",
    "art",
    "method",
    "verb",
    "operation",
    "category",
    "kategorie",
    "channel",
    "reason",
    "direction",
    "aktion",
    "vorgang",
];

/// What was spent in an event.
#[derive(Debug, Clone)]
pub struct Amount {
    /// SQL over the events' columns; a word, where it is one column.
    pub sql: String,
    /// By row of the sample.
    pub values: Vec<Option<f64>>,
    /// Channels that it would betray.
    pub sources: Vec<String>,
    /// Whether spending is below zero, as in an account's statement.
    pub negative: bool,
}

/// The column of what was spent: one that says so, else price times pieces.
pub fn amount(sample: &Sample, guesses: &[Guess], channels: &[Channel]) -> Option<Amount> {
    let dense = |channel: &&Channel| matches!(channel.kind, Kind::Dense { .. });
    let with = |words: &[&str]| {
        let mut found = channels.iter().filter(dense);
        found.find(|channel| has_word(&guesses[channel.column].column.name, words))
    };
    let numbers = |channel: &Channel| -> Vec<Option<f64>> {
        let guess = &guesses[channel.column];
        let style = guess.number.as_ref().map(|numbers| numbers.style);
        let rows = 0..sample.rows;
        rows.map(|row| style?.parse(guess.column.value(row)?))
            .collect()
    };
    if let (Some(price), Some(pieces)) = (with(&UNIT_PRICES), with(&PIECES))
        && with(&AMOUNTS[..14]).is_none()
    {
        let products = numbers(price).into_iter().zip(numbers(pieces));
        return Some(Amount {
            sql: format!("{} * {}", sql(&price.name), sql(&pieces.name)),
            values: products
                .map(|(price, pieces)| Some(price? * pieces?))
                .collect(),
            sources: vec![price.name.clone(), pieces.name.clone()],
            negative: false,
        });
    }
    let channel = AMOUNTS.iter().find_map(|word| with(&[word]))?;
    let negative_share = guesses[channel.column].number.as_ref()?.negative_share;
    Some(Amount {
        sql: sql(&channel.name),
        values: numbers(channel),
        sources: vec![channel.name.clone()],
        negative: negative_share > 0.5,
    })
}

/// The channel that says what kind of event it was.
pub fn event_kind<'a>(guesses: &[Guess], channels: &'a [Channel]) -> Option<&'a Channel> {
    EVENTS.iter().find_map(|word| {
        channels.iter().find(|channel| {
            let guess = &guesses[channel.column];
            channel.kind == Kind::Category
                && (2..=20).contains(&guess.column.distinct())
                && has_word(&guess.column.name, &[word])
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::guess;
    use crate::draft::sample::{Column, Format, Origin};

    fn sample(columns: [(&str, [&str; 3]); 2]) -> Sample {
        let columns = columns.map(|(name, values)| {
            let mut column = Column::new(name, Origin::Unknown);
            values.iter().for_each(|value| column.push(Some(value)));
            column
        });
        Sample {
            format: Format::JsonLines,
            columns: columns.into(),
            rows: 3,
            complete: true,
            total_rows: 3,
            odd_rows: 0,
        }
    }

    /// The amount where all columns are dense channels.
    fn found(columns: [(&str, [&str; 3]); 2]) -> Option<Amount> {
        let sample = sample(columns);
        let guesses = guess::columns(&sample);
        let channel = |(column, guess): (usize, &Guess)| Channel {
            column,
            name: guess.name.clone(),
            kind: Kind::Dense { signed_log: false },
            sql: guess.sql.clone(),
            note: String::new(),
        };
        let channels: Vec<Channel> = guesses.iter().enumerate().map(channel).collect();
        amount(&sample, &guesses, &channels)
    }

    #[test]
    fn price_times_pieces_is_spent_where_no_column_says_it() {
        let price = ("price", ["1.5", "2.5", ""]);
        let product = found([price, ("quantity", ["2", "4", "6"])]).expect("an amount");
        assert_eq!(product.sql, "price * quantity");
        assert_eq!(product.values, [Some(3.0), Some(10.0), None]);
        let said = found([price, ("total", ["2", "4", "6"])]).expect("an amount");
        assert_eq!(said.sql, "total");
    }

    #[test]
    fn a_statement_has_spending_below_zero() {
        let amount = found([("age", ["1", "2", "3"]), ("Betrag", ["-5", "-6", "7"])]);
        assert!(amount.is_some_and(|amount| amount.negative && amount.sql == "betrag"));
        assert!(found([("age", ["1", "2", "3"]), ("visits", ["5", "6", "7"])]).is_none());
    }
}
