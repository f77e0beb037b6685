//! What a column's values look like: numbers, times, texts.

use crate::draft::column_name::{Names, sql};
use crate::draft::number::{self, NumberStyle};
use crate::draft::sample::{Column, Origin, Sample};
use crate::draft::time_fits::{Fit, fits};
use crate::draft::time_format::TimeFormat;

/// A column with what may be read from its values.
#[derive(Debug)]
pub struct Guess<'a> {
    pub column: &'a Column,
    /// The identifier that it gets.
    pub name: String,
    /// Its name in the file, as SQL writes it.
    pub sql: String,
    pub number: Option<Numbers>,
    /// The formats in which it is a time, the best first.
    pub times: Vec<Fit>,
}

/// Of the values that are numbers, each counted as often as it stands there.
#[derive(Debug, Clone)]
pub struct Numbers {
    pub style: NumberStyle,
    /// Values that are no numbers.
    pub wrong: usize,
    pub whole: bool,
    pub least: f64,
    pub most: f64,
    /// Median and 99th percentile of the absolute values above 0.
    pub middle: f64,
    pub large: f64,
    pub negative_share: f64,
    /// Whole numbers of one number of digits, such as codes.
    pub one_width: bool,
}

/// All columns, in the file's order.
pub fn columns(sample: &Sample) -> Vec<Guess<'_>> {
    let mut names = Names::default();
    let columns = sample.columns.iter().enumerate();
    columns
        .map(|(at, column)| {
            let values: Vec<(&str, u32)> = column.real_values().collect();
            Guess {
                column,
                name: names.of_column(&column.name, at),
                sql: sql(&column.name),
                number: numbers(column, &values),
                times: times(column, &values),
            }
        })
        .collect()
}

fn numbers(column: &Column, values: &[(&str, u32)]) -> Option<Numbers> {
    if !matches!(
        column.origin,
        Origin::Unknown | Origin::Text | Origin::Number
    ) {
        return None;
    }
    let (style, wrong) = number::style(values)?;
    let parsed = values.iter().filter_map(|(text, count)| {
        let number = style.parse(text)?;
        Some((number, *count as usize))
    });
    let parsed: Vec<(f64, usize)> = parsed.collect();
    let total: usize = parsed.iter().map(|(_, count)| count).sum();
    let negative: usize = parsed
        .iter()
        .filter(|(x, _)| *x < 0.0)
        .map(|(_, count)| count)
        .sum();
    let mut sizes: Vec<(f64, usize)> = parsed
        .iter()
        .filter(|(x, _)| *x != 0.0)
        .map(|(x, count)| (x.abs(), *count))
        .collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let whole = parsed
        .iter()
        .all(|(x, _)| x.fract() == 0.0 && x.abs() < 9e15);
    let widths: std::collections::HashSet<usize> =
        values.iter().map(|(text, _)| text.trim().len()).collect();
    Some(Numbers {
        style,
        wrong,
        whole,
        least: parsed.iter().map(|(x, _)| *x).fold(f64::INFINITY, f64::min),
        most: parsed
            .iter()
            .map(|(x, _)| *x)
            .fold(f64::NEG_INFINITY, f64::max),
        middle: quantile(&sizes, 0.5),
        large: quantile(&sizes, 0.99),
        negative_share: negative as f64 / total.max(1) as f64,
        one_width: whole && widths.len() == 1 && widths.iter().all(|&width| width >= 4),
    })
}

/// Of sorted numbers with their counts.
fn quantile(sorted: &[(f64, usize)], share: f64) -> f64 {
    let total: usize = sorted.iter().map(|(_, count)| count).sum();
    let mut before = 0;
    for (x, count) in sorted {
        before += count;
        if before as f64 >= share * total as f64 {
            return *x;
        }
    }
    0.0
}

fn times(column: &Column, values: &[(&str, u32)]) -> Vec<Fit> {
    match column.origin {
        Origin::Time => vec![Fit {
            format: TimeFormat::Typed,
            wrong: 0,
        }],
        Origin::Unknown | Origin::Text | Origin::Number => fits(values),
        Origin::Truth | Origin::Nested => Vec::new(),
    }
}

impl Guess<'_> {
    /// Whether the times are whole numbers, which may as well be something else.
    pub fn times_are_digits(&self) -> bool {
        self.number.is_some()
    }

    /// A value, for a message.
    pub fn example(&self) -> &str {
        let first = self.column.values().first();
        first.map_or("", String::as_str)
    }

    /// The column as text in SQL, `NULL`'s like being NULL.
    pub fn text_sql(&self) -> String {
        without_nothings(&self.sql, &self.column.nothings())
    }
}

/// SQL that makes NULL of the texts that stand for nothing.
pub fn without_nothings(sql: &str, nothings: &[&str]) -> String {
    if nothings.is_empty() {
        return sql.to_owned();
    }
    let texts: Vec<String> = nothings
        .iter()
        .map(|text| crate::draft::column_name::sql_text(text))
        .collect();
    format!(
        "CASE WHEN CAST({sql} AS VARCHAR) NOT IN ({}) THEN {sql} END",
        texts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[&str]) -> Column {
        let mut column = Column::new("x", Origin::Unknown);
        values.iter().for_each(|value| column.push(Some(value)));
        column
    }

    #[test]
    fn numbers_are_described() {
        let column = column(&["-2", "4", "4", "1000", "NA"]);
        let values: Vec<(&str, u32)> = column.real_values().collect();
        let numbers = numbers(&column, &values).expect("numbers");
        assert!(numbers.whole && !numbers.one_width);
        assert_eq!((numbers.least, numbers.most), (-2.0, 1000.0));
        assert_eq!((numbers.middle, numbers.large), (4.0, 1000.0));
        assert_eq!(numbers.negative_share, 0.25);
    }

    #[test]
    fn texts_for_nothing_become_null() {
        assert_eq!(without_nothings("a", &[]), "a");
        assert_eq!(
            without_nothings("a", &["N/A"]),
            "CASE WHEN CAST(a AS VARCHAR) NOT IN ('N/A') THEN a END"
        );
    }
}
