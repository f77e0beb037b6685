//! The type of a column of text, from all its values, and the values as an array.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, NullArray,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};
use jiff::civil::Date;

use crate::source_params::ColumnType;
use crate::text::rows::CellKind;
use crate::text::time_format::{TimeStyle, iso, iso_date};

/// The types that all values so far could have.
#[derive(Debug, Clone, Copy)]
pub struct Candidates {
    any: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    date: bool,
    time: bool,
}

impl Default for Candidates {
    fn default() -> Self {
        Self {
            any: false,
            boolean: true,
            integer: true,
            number: true,
            date: true,
            time: true,
        }
    }
}

impl Candidates {
    pub fn look_at(&mut self, text: &str, kind: CellKind) {
        if kind == CellKind::Null {
            return;
        }
        self.any = true;
        let plain = kind == CellKind::Plain;
        self.boolean = self.boolean && plain && boolean(text).is_some();
        self.integer = self.integer && plain && integer(text).is_some() && !is_code(text);
        self.number = self.number && plain && number(text).is_some() && !is_code(text);
        self.date = self.date && iso_date(text).is_some();
        self.time = self.time && iso(text).is_some();
    }

    /// None where there is no value at all.
    pub fn column_type(&self) -> Option<ColumnType> {
        let choices = [
            (self.boolean, ColumnType::Boolean),
            (self.integer, ColumnType::Integer),
            (self.number, ColumnType::Number),
            (self.date, ColumnType::Date),
            (self.time, ColumnType::Time),
        ];
        let found = choices.into_iter().find(|(fits, _)| *fits);
        self.any
            .then(|| found.map_or(ColumnType::Text, |(_, of)| of))
    }
}

/// Digits that a number would not keep: leading zeros, or more than 64 bits hold.
fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let leading_zero = leading_zero && !digits.starts_with("0e") && !digits.starts_with("0E");
    let long = digits.len() > 18
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<i64>().is_err();
    leading_zero || long
}

fn boolean(text: &str) -> Option<bool> {
    match text.len() {
        4 if text.eq_ignore_ascii_case("true") => Some(true),
        5 if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn days(date: Date) -> i32 {
    (date - jiff::civil::date(1970, 1, 1)).get_days()
}

/// The type of a column's array; none where it has no value at all.
pub fn data_type(of: Option<ColumnType>) -> DataType {
    match of {
        None => DataType::Null,
        Some(ColumnType::Text) => DataType::Utf8,
        Some(ColumnType::Integer) => DataType::Int64,
        Some(ColumnType::Number) => DataType::Float64,
        Some(ColumnType::Boolean) => DataType::Boolean,
        Some(ColumnType::Date) => DataType::Date32,
        Some(ColumnType::Time) => DataType::Timestamp(TimeUnit::Microsecond, None),
    }
}

/// What is expected of a value of a type, for messages.
pub fn expected(of: ColumnType, times: &TimeStyle) -> String {
    match of {
        ColumnType::Text => "text".to_owned(),
        ColumnType::Integer => "a whole number".to_owned(),
        ColumnType::Number => "a number".to_owned(),
        ColumnType::Boolean => "true or false".to_owned(),
        ColumnType::Date => format!("a date {}", times.expected()),
        ColumnType::Time => format!("a time {}", times.expected()),
    }
}

/// Whether a value is of a type.
pub fn fits(of: ColumnType, text: &str, times: &TimeStyle) -> bool {
    match of {
        ColumnType::Text => true,
        ColumnType::Integer => integer(text).is_some(),
        ColumnType::Number => number(text).is_some(),
        ColumnType::Boolean => boolean(text).is_some(),
        ColumnType::Date => times.date(text).is_some(),
        ColumnType::Time => times.micros(text).is_some(),
    }
}

/// Gathers the values of a column.
pub enum ColumnBuilder {
    Nothing(usize),
    Text(StringBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Time(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    pub fn new(of: Option<ColumnType>) -> Self {
        match of {
            None => ColumnBuilder::Nothing(0),
            Some(ColumnType::Text) => ColumnBuilder::Text(StringBuilder::new()),
            Some(ColumnType::Integer) => ColumnBuilder::Integer(Int64Builder::new()),
            Some(ColumnType::Number) => ColumnBuilder::Number(Float64Builder::new()),
            Some(ColumnType::Boolean) => ColumnBuilder::Boolean(BooleanBuilder::new()),
            Some(ColumnType::Date) => ColumnBuilder::Date(Date32Builder::new()),
            Some(ColumnType::Time) => ColumnBuilder::Time(TimestampMicrosecondBuilder::new()),
        }
    }

    /// NULL for a value that is not of the type.
    pub fn push(&mut self, text: &str, kind: CellKind, times: &TimeStyle) {
        let text = (kind != CellKind::Null).then_some(text);
        match self {
            ColumnBuilder::Nothing(rows) => *rows += 1,
            ColumnBuilder::Text(values) => values.append_option(text),
            ColumnBuilder::Integer(values) => values.append_option(text.and_then(integer)),
            ColumnBuilder::Number(values) => values.append_option(text.and_then(number)),
            ColumnBuilder::Boolean(values) => values.append_option(text.and_then(boolean)),
            ColumnBuilder::Date(values) => {
                values.append_option(text.and_then(|text| times.date(text)).map(days));
            }
            ColumnBuilder::Time(values) => {
                values.append_option(text.and_then(|text| times.micros(text)));
            }
        }
    }

    pub fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Nothing(rows) => Arc::new(NullArray::new(std::mem::take(rows))),
            ColumnBuilder::Text(values) => Arc::new(values.finish()),
            ColumnBuilder::Integer(values) => Arc::new(values.finish()),
            ColumnBuilder::Number(values) => Arc::new(values.finish()),
            ColumnBuilder::Boolean(values) => Arc::new(values.finish()),
            ColumnBuilder::Date(values) => Arc::new(values.finish()),
            ColumnBuilder::Time(values) => Arc::new(values.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(values: &[&str]) -> Option<ColumnType> {
        let mut candidates = Candidates::default();
        for value in values {
            let kind = if value.is_empty() {
                CellKind::Null
            } else {
                CellKind::Plain
            };
            candidates.look_at(value, kind);
        }
        candidates.column_type()
    }

    #[test]
    fn a_type_holds_for_all_values() {
        assert_eq!(guessed(&["1", "-20", ""]), Some(ColumnType::Integer));
        assert_eq!(
            guessed(&["1", "2.5", "NaN", "1e3"]),
            Some(ColumnType::Number)
        );
        assert_eq!(guessed(&["1", "x"]), Some(ColumnType::Text));
        assert_eq!(guessed(&["true", "False"]), Some(ColumnType::Boolean));
        assert_eq!(
            guessed(&["2011-08-01", "2011-08-02"]),
            Some(ColumnType::Date)
        );
        assert_eq!(
            guessed(&["2011-08-01", "2011-08-02 10:00"]),
            Some(ColumnType::Time)
        );
        assert_eq!(guessed(&["007", "012"]), Some(ColumnType::Text));
        assert_eq!(
            guessed(&["12345678901234567890", "1"]),
            Some(ColumnType::Text)
        );
        assert_eq!(guessed(&["0", "0.5"]), Some(ColumnType::Number));
        assert_eq!(guessed(&["", ""]), None);
        assert_eq!(guessed(&[]), None);
    }

    #[test]
    fn a_string_of_json_is_no_number() {
        let mut candidates = Candidates::default();
        candidates.look_at("12", CellKind::Quoted);
        assert_eq!(candidates.column_type(), Some(ColumnType::Text));
    }
}
