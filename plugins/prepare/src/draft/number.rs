//! Numbers as people write them: decimal points and commas, grouped thousands.

/// How the numbers of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberStyle {
    /// `1234.5`
    Point,
    /// `1234,5`, `1.234,5`
    Comma,
    /// `1,234.5`
    PointGrouped,
}

/// Texts that stand for no value.
pub const NOTHING: [&str; 12] = [
    "NULL", "null", "NA", "N/A", "n/a", "NaN", "nan", "None", "none", "-", "\\N", "#N/A",
];

pub fn is_nothing(text: &str) -> bool {
    NOTHING.contains(&text.trim())
}

impl NumberStyle {
    /// The number that a text is in this style; None for what is none, and for infinity.
    pub fn parse(self, text: &str) -> Option<f64> {
        let text = text.trim();
        let first = text.bytes().next()?;
        let number_like = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.,eE".contains(&byte));
        if !number_like || b"eE".contains(&first) {
            return None;
        }
        let plain = match self {
            NumberStyle::Point if text.contains(',') => return None,
            NumberStyle::Point => return finite(text),
            NumberStyle::Comma => grouped(text, '.', ',')?,
            NumberStyle::PointGrouped => grouped(text, ',', '.')?,
        };
        finite(&plain)
    }

    /// SQL that reads such a text as a number, and what is none as NULL.
    pub fn sql(self, column: &str) -> String {
        match self {
            NumberStyle::Point => format!("TRY_CAST({column} AS DOUBLE)"),
            NumberStyle::Comma => format!(
                "TRY_CAST(replace(replace(CAST({column} AS VARCHAR), '.', ''), ',', '.') AS DOUBLE)"
            ),
            NumberStyle::PointGrouped => {
                format!("TRY_CAST(replace(CAST({column} AS VARCHAR), ',', '') AS DOUBLE)")
            }
        }
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Takes the marks between groups of three digits out, and makes the decimal mark a point.
fn grouped(text: &str, between: char, decimal: char) -> Option<String> {
    let (whole, fraction) = match text.split_once(decimal) {
        Some((_, fraction)) if fraction.contains([between, decimal]) => return None,
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    if whole.contains(between) {
        let mut groups = whole.trim_start_matches(['+', '-']).split(between);
        let first = groups.next()?;
        if first.is_empty() || first.len() > 3 || groups.any(|group| group.len() != 3) {
            return None;
        }
    }
    let mut plain: String = whole.chars().filter(|&c| c != between).collect();
    if let Some(fraction) = fraction {
        plain.push('.');
        plain.push_str(fraction);
    }
    Some(plain)
}

/// Of a column of numbers at most one value in so many may be none.
const WRONG_ONE_IN: usize = 50;

/// The style in which the texts, each with its count, are numbers, and how many are none.
pub fn style(texts: &[(&str, u32)]) -> Option<(NumberStyle, usize)> {
    let styles = [
        NumberStyle::Point,
        NumberStyle::Comma,
        NumberStyle::PointGrouped,
    ];
    let total: usize = texts.iter().map(|(_, count)| *count as usize).sum();
    let wrong = styles.into_iter().map(|style| {
        let wrong = texts.iter().filter(|(text, _)| style.parse(text).is_none());
        (
            style,
            wrong.map(|(_, count)| *count as usize).sum::<usize>(),
        )
    });
    let (style, wrong) = wrong.min_by_key(|(_, wrong)| *wrong)?;
    (total > 0 && wrong * WRONG_ONE_IN <= total).then_some((style, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_one_style() {
        let style = |texts: &[&str]| {
            let counted: Vec<(&str, u32)> = texts.iter().map(|text| (*text, 1)).collect();
            super::style(&counted).map(|(style, _)| style)
        };
        assert_eq!(style(&["1", "-2.5", "3e4"]), Some(NumberStyle::Point));
        assert_eq!(style(&["1", "2,5"]), Some(NumberStyle::Comma));
        assert_eq!(style(&["1.234,50", "7"]), Some(NumberStyle::Comma));
        assert_eq!(style(&["1,234.50", "7.5"]), Some(NumberStyle::PointGrouped));
        assert_eq!(style(&["1", "x"]), None);
        assert_eq!(style(&["inf"]), None);
        assert_eq!(style(&["1.2.3"]), None);
        assert_eq!(style(&[]), None);
        assert_eq!(
            super::style(&[("1.5", 99), ("?", 1)]),
            Some((NumberStyle::Point, 1))
        );
    }

    #[test]
    fn numbers_are_read_in_their_style() {
        assert_eq!(NumberStyle::Comma.parse("-1.234,5"), Some(-1234.5));
        assert_eq!(
            NumberStyle::PointGrouped.parse("1,234,567"),
            Some(1_234_567.0)
        );
        assert_eq!(NumberStyle::PointGrouped.parse("1,23"), None);
        assert_eq!(NumberStyle::Point.parse("1,5"), None);
        assert_eq!(NumberStyle::Point.parse("e5"), None);
    }
}
