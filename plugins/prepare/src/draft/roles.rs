//! Which column says who and which says when, and why the others do not.

use crate::draft::column_name::{has_word, shown};
use crate::draft::day_order::{self, DayOrder};
use crate::draft::error::DraftError;
use crate::draft::guess::Guess;
use crate::draft::sample::{Origin, Sample};
use crate::draft::time_fits::Fit;
use crate::draft::time_format::TimeFormat;

const WHO: [&str; 32] = [
    "user",
    "customer",
    "client",
    "account",
    "member",
    "visitor",
    "cust",
    "uid",
    "person",
    "patient",
    "player",
    "subscriber",
    "household",
    "kunde",
    "kunden",
    "konto",
    "nutzer",
    "benutzer",
    "mitglied",
    "cliente",
    "usuario",
    "utilisateur",
    "buyer",
    "shopper",
    "cardholder",
    "cookie",
    "msisdn",
    "iban",
    "employee",
    "student",
    "driver",
    "guest",
];
/// Who else may be meant, where nobody above is.
const WHO_ELSE: [&str; 8] = [
    "device", "card", "session", "ip", "phone", "email", "host", "owner",
];
const KEYS: [&str; 8] = ["id", "no", "nr", "number", "nummer", "key", "code", "ref"];
const NOT_WHO: [&str; 34] = [
    "item",
    "product",
    "sku",
    "article",
    "artikel",
    "order",
    "invoice",
    "transaction",
    "event",
    "type",
    "status",
    "country",
    "city",
    "land",
    "ort",
    "url",
    "page",
    "path",
    "price",
    "amount",
    "category",
    "description",
    "name",
    "title",
    "payment",
    "method",
    "currency",
    "quantity",
    "shop",
    "store",
    "merchant",
    "agent",
    "referrer",
    "row",
];
const WHEN: [&str; 25] = [
    "time",
    "date",
    "timestamp",
    "ts",
    "datetime",
    "datum",
    "zeit",
    "zeitpunkt",
    "fecha",
    "heure",
    "created",
    "at",
    "when",
    "day",
    "epoch",
    "occurred",
    "booked",
    "booking",
    "buchung",
    "purchased",
    "ordered",
    "visited",
    "logged",
    "zeitstempel",
    "moment",
];
const NOT_WHEN: [&str; 16] = [
    "birth",
    "birthday",
    "dob",
    "expiry",
    "expires",
    "expiration",
    "end",
    "updated",
    "modified",
    "due",
    "shipped",
    "delivered",
    "valid",
    "signup",
    "registered",
    "until",
];

/// The column of the entity.
#[derive(Debug)]
pub struct Entity {
    /// Its index among the columns.
    pub column: usize,
    pub distinct: usize,
    pub rows_each: f64,
    pub why: &'static str,
}

/// The column of the time.
#[derive(Debug)]
pub struct When {
    pub column: usize,
    pub fit: Fit,
    pub order: DayOrder,
}

/// The column that a flag names.
///
/// # Errors
/// No column of this name.
fn named(guesses: &[Guess], name: &str, flag: &str) -> Result<usize, DraftError> {
    let exact = guesses.iter().position(|guess| guess.column.name == name);
    let near = || {
        guesses.iter().position(|guess| {
            guess.column.name.trim().eq_ignore_ascii_case(name.trim()) || guess.name == name
        })
    };
    exact.or_else(near).ok_or_else(|| {
        let names: Vec<String> = guesses
            .iter()
            .map(|guess| shown(&guess.column.name))
            .collect();
        DraftError::new(format!("`{flag}`: there is no column {}", shown(name)))
            .help(format!("There are {}", names.join(", ")))
    })
}

/// # Errors
/// No column holds times, with what each holds instead.
pub fn when(sample: &Sample, guesses: &[Guess], wanted: Option<&str>) -> Result<When, DraftError> {
    if let Some(name) = wanted {
        let column = named(guesses, name, "--time")?;
        return read_time(&guesses[column], column).ok_or_else(|| {
            DraftError::new(format!("`--time`: {}", no_time(&guesses[column])))
                .help("See docs/data.md for times of other forms: they are converted in `events`")
        });
    }
    let best = guesses
        .iter()
        .enumerate()
        .filter_map(|(at, guess)| {
            Some((
                when_score(sample, guess)?,
                std::cmp::Reverse(at),
                read_time(guess, at)?,
            ))
        })
        .max_by_key(|(score, at, _)| (*score, *at));
    best.map(|(_, _, when)| when).ok_or_else(|| {
        let tried: Vec<String> = guesses.iter().map(no_time).collect();
        DraftError::new(format!("No column holds times: {}", tried.join("; "))).help(
            "Name it with --time COLUMN, or write it as 2021-03-04T05:06:07; events without a time \
             cannot be used",
        )
    })
}

fn read_time(guess: &Guess, column: usize) -> Option<When> {
    let in_order: Vec<&str> = (0..guess.column.rows())
        .filter_map(|row| guess.column.value(row))
        .collect();
    let (fit, order) = day_order::decide(&guess.times, &in_order)?;
    Some(When { column, fit, order })
}

fn when_score(sample: &Sample, guess: &Guess) -> Option<i32> {
    let format = &guess.times.first()?.format;
    let name = &guess.column.name;
    let says_when = has_word(name, &WHEN);
    let says_other = has_word(name, &NOT_WHEN);
    let long_digits = matches!(format, TimeFormat::Epoch(_)) && guess.example().trim().len() >= 13;
    if guess.times_are_digits() && !says_when && !long_digits {
        return None;
    }
    if guess.column.distinct() < 2 || guess.column.missing() * 2 > sample.rows {
        return None;
    }
    let mut score = 4 * i32::from(says_when) - 6 * i32::from(says_other);
    score += 2 * i32::from(guess.column.missing() == 0);
    score += i32::from(guess.column.distinct() * 20 > sample.rows);
    score += i32::from(!guess.times_are_digits());
    Some(score)
}

/// Why a column is no time.
fn no_time(guess: &Guess) -> String {
    let name = shown(&guess.column.name);
    let column = guess.column;
    if column.present() == 0 {
        return format!("{name} is empty");
    }
    if !guess.times.is_empty() {
        return match column.distinct() {
            1 => format!("{name} has one value only"),
            _ if guess.times_are_digits() => {
                format!("{name} has numbers that could be times, but its name does not say so")
            }
            _ => format!("{name} is missing in most rows"),
        };
    }
    match &guess.number {
        Some(numbers) => {
            format!(
                "{name} has numbers from {} to {}",
                numbers.least, numbers.most
            )
        }
        None if column.origin == Origin::Nested => format!("{name} has lists or objects"),
        None => format!("{name} has texts such as {}", shown(guess.example())),
    }
}

/// # Errors
/// No column has values that come again, with what each holds instead.
pub fn entity(
    sample: &Sample,
    guesses: &[Guess],
    when: usize,
    wanted: Option<&str>,
) -> Result<Entity, DraftError> {
    if let Some(name) = wanted {
        let column = named(guesses, name, "--entity")?;
        let problem = match no_entity(sample, &guesses[column], column == when) {
            None => return Ok(made(&guesses[column], column, "as you say")),
            Some(problem) => problem,
        };
        return Err(DraftError::new(format!("`--entity`: {problem}")).help(HELP));
    }
    let best = guesses
        .iter()
        .enumerate()
        .filter(|(at, guess)| no_entity(sample, guess, *at == when).is_none())
        .map(|(at, guess)| (entity_score(sample, guess), at))
        .filter(|((score, _), _)| *score >= 0)
        .max_by_key(|(score, at)| (*score, std::cmp::Reverse(*at)));
    if let Some(((score, _), at)) = best {
        let why = match score {
            3.. => "by its name, and its values come again",
            _ => "its values come again; no name says who",
        };
        return Ok(made(&guesses[at], at, why));
    }
    let tried: Vec<String> = guesses
        .iter()
        .enumerate()
        .map(|(at, guess)| {
            let other = || format!("{} looks like something else", shown(&guess.column.name));
            no_entity(sample, guess, at == when).unwrap_or_else(other)
        })
        .collect();
    let problem = format!(
        "No column says who, with several rows for each: {}",
        tried.join("; ")
    );
    Err(DraftError::new(problem).help(HELP))
}

const HELP: &str =
    "Name it with --entity COLUMN: a user, customer or account id that stands in many rows";

fn made(guess: &Guess, column: usize, why: &'static str) -> Entity {
    let distinct = guess.column.distinct();
    Entity {
        column,
        distinct,
        rows_each: guess.column.present() as f64 / distinct.max(1) as f64,
        why,
    }
}

/// Why a column cannot be the entity, whatever its name.
fn no_entity(sample: &Sample, guess: &Guess, is_time: bool) -> Option<String> {
    let name = shown(&guess.column.name);
    let (distinct, present) = (guess.column.distinct(), guess.column.present());
    let fraction = guess.number.as_ref().is_some_and(|numbers| !numbers.whole);
    if is_time {
        return Some(format!("{name} is the time"));
    }
    match guess.column.origin {
        Origin::Time => return Some(format!("{name} is a time")),
        Origin::Truth => return Some(format!("{name} is true or false")),
        Origin::Nested => return Some(format!("{name} has lists or objects")),
        Origin::Unknown | Origin::Text | Origin::Number => {}
    }
    if guess.column.name.is_empty() {
        return Some("one column has no name".to_owned());
    }
    if present == 0 {
        return Some(format!("{name} is empty"));
    }
    if present * 2 < sample.rows {
        return Some(format!("{name} is missing in most rows"));
    }
    if distinct == 1 {
        return Some(format!("{name} has one value only"));
    }
    if fraction {
        return Some(format!("{name} has numbers with fractions"));
    }
    let repeats = present - distinct;
    let too_few = match sample.complete {
        true => repeats * 10 < present,
        false => repeats == 0,
    };
    if too_few {
        return Some(format!("{name} has another value in nearly every row"));
    }
    None
}

/// By the name first, then by how many there are.
fn entity_score(sample: &Sample, guess: &Guess) -> (i32, usize) {
    let name = &guess.column.name;
    let distinct = guess.column.distinct();
    let mut score = 0;
    if has_word(name, &WHO) {
        score += 6;
    } else if has_word(name, &WHO_ELSE) {
        score += 3;
    }
    // Of user_agent and customer_country too.
    if has_word(name, &NOT_WHO) {
        score -= 6;
    }
    score += i32::from(has_word(name, &KEYS));
    score += i32::from(distinct >= 20 || distinct * 4 > sample.rows);
    // Dates and long texts are no keys.
    score -= 3 * i32::from(!guess.times.is_empty() && !guess.times_are_digits());
    score -= 3 * i32::from(guess.example().len() > 80);
    (score, distinct)
}
