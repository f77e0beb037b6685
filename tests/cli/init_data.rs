//! Tables of events in different styles, the same on every run, for `supermoe init` to read.

use std::fmt::Write;

use jiff::civil::{DateTime, datetime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span};

/// A small generator (Knuth's MMIX constants): the same numbers everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// From 0 to below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len() as u64) as usize]
    }

    /// Mostly small, seldom large: cents.
    pub fn amount(&mut self) -> u64 {
        let size = 10_u64.pow(2 + self.roll(3) as u32);
        size + self.roll(9 * size)
    }
}

/// Who, and after how many minutes from the beginning: sorted by time.
fn visits(dice: &mut Dice, entities: u64, days: u64) -> Vec<(u64, u64)> {
    let mut visits = Vec::new();
    for entity in 0..entities {
        // Some come often, some seldom.
        let pause = 1440 * days / (4 + 16 * (entity % 4));
        let mut minute = dice.roll(2 * pause);
        while minute < 1440 * days {
            visits.push((minute, entity));
            minute += 1 + dice.roll(2 * pause);
        }
    }
    visits.sort_unstable();
    visits
        .into_iter()
        .map(|(minute, entity)| (entity, minute))
        .collect()
}

fn later(start: DateTime, minutes: u64) -> DateTime {
    start + Span::new().minutes(i64::try_from(minutes).expect("few minutes"))
}

/// An export of a German shop: semicolons, decimal commas, latin-1, day before month, CRLF.
pub fn shop() -> Vec<u8> {
    let mut dice = Dice::new(1);
    let mut text =
        "Bestell-Nr;Kunden-Nr;Kunde;Datum;Artikel;Menge;Einzelpreis;Ort;Währung\r\n".to_owned();
    let start = datetime(2022, 1, 3, 8, 0, 0, 0);
    let mut order = 100_000;
    for (customer, minute) in visits(&mut dice, 60, 400) {
        order += 1;
        let time = later(start, minute).strftime("%d/%m/%Y %H:%M").to_string();
        for _ in 0..=dice.roll(2) {
            let article = match dice.roll(3) {
                0 => dice
                    .pick(&["Krawatte grün", "Gürtel", "\"Schuh; \"\"Classic\"\"\""])
                    .to_owned(),
                _ => format!("Artikel {}", dice.roll(60)),
            };
            let (pieces, cents) = (1 + dice.roll(4), dice.amount());
            let town = dice.pick(&["Köln", "München", "Zürich"]);
            writeln!(
                text,
                "{order}{line};K{customer:04};Kunde {customer};{time};{article};{pieces};{},{:02};{town};EUR\r",
                cents / 100,
                cents % 100,
                line = dice.roll(10),
            )
            .expect("a string takes all");
        }
    }
    // All of its characters are in latin-1.
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).expect("latin-1"))
        .collect()
}

/// A web log: tabs, milliseconds since 1970, codes that are numbers.
pub fn web_log() -> String {
    let mut dice = Dice::new(2);
    let mut text = "ts\tvisitor_id\tpath\tstatus\tbytes\tevent\tserver\n".to_owned();
    for (visitor, minute) in visits(&mut dice, 80, 30) {
        let millis = 1_650_000_000_000 + minute * 60_000 + dice.roll(60_000);
        let path = match dice.roll(3) {
            0 => dice.pick(&["/", "/cart", "/help"]).to_owned(),
            _ => format!("/item/{}", dice.roll(80)),
        };
        let status = dice.pick(&["200", "200", "200", "404"]);
        let event = dice.pick(&["view", "view", "search", "purchase"]);
        let bytes = dice.amount();
        writeln!(
            text,
            "{millis}\tv{visitor:05}\t{path}\t{status}\t{bytes}\t{event}\tweb1"
        )
        .expect("a string takes all");
    }
    text
}

/// A bank's statement: times with offsets, quotes with commas and line ends in them, amounts below zero.
pub fn bank() -> String {
    let mut dice = Dice::new(3);
    let mut text = "booked_at,account,type,amount,counterparty,reference\n".to_owned();
    let start = datetime(2023, 3, 1, 0, 0, 0, 0)
        .to_zoned(TimeZone::UTC)
        .expect("UTC has all times");
    for (row, (account, minute)) in visits(&mut dice, 60, 150).into_iter().enumerate() {
        let offset = Offset::constant(dice.roll(3) as i8);
        let minutes = SignedDuration::from_mins(i64::try_from(minute).expect("few minutes"));
        let time = (start.timestamp() + minutes).to_zoned(TimeZone::fixed(offset));
        let time = time.strftime("%Y-%m-%dT%H:%M:%S%:z");
        let kind = dice.pick(&["card", "transfer", "fee"]);
        let sign = if dice.roll(6) == 0 { "" } else { "-" };
        let cents = dice.amount();
        let other = match dice.roll(3) {
            0 => dice
                .pick(&[
                    "\"ACME, Inc.\"",
                    "\"Baker \"\"Joe\"\"\"",
                    "\"Line\nBreak Ltd\"",
                ])
                .to_owned(),
            _ => format!("Merchant {}", dice.roll(70)),
        };
        writeln!(
            text,
            "{time},DE{account:08},{kind},{sign}{}.{:02},{other},R-{row:06}",
            cents / 100,
            cents % 100
        )
        .expect("a string takes all");
    }
    text
}

/// A shop's purchases in plain CSV, as docs/data.md has them.
pub fn purchases() -> String {
    let mut dice = Dice::new(5);
    let mut text = "user,time,item,price,shop\n".to_owned();
    let start = datetime(2023, 1, 2, 8, 0, 0, 0);
    for (user, minute) in visits(&mut dice, 120, 360) {
        let time = later(start, minute)
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string();
        for _ in 0..=dice.roll(2) {
            let item = dice.pick(&["bread", "milk", "coffee", "tea", "jam", "cake"]);
            let (cents, shop) = (dice.amount(), dice.pick(&["north", "south"]));
            writeln!(
                text,
                "u{user},{time},{item},{}.{:02},{shop}",
                cents / 100,
                cents % 100
            )
            .expect("a string takes all");
        }
    }
    text
}

/// What is known of the users of [`purchases`], as docs/data.md has it.
pub fn users() -> String {
    let rows = (0..120).map(|user| format!("u{user},{}\n", ["new", "regular", "gold"][user % 3]));
    format!("user,segment\n{}", rows.collect::<String>())
}
