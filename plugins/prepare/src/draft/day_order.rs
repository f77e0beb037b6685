//! Which of two readings of 03/04/2021 the data mean.

use crate::draft::time_fits::Fit;
use crate::draft::time_format::TimeFormat;

/// Why day or month comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayOrder {
    /// The format leaves no doubt.
    Plain,
    /// A number above 12 shows it.
    Shown,
    /// Both readings are possible; only in the one is the file sorted.
    Sorted,
    /// Both readings are possible, and nothing decides.
    Assumed,
}

/// The format of a column among those that fit: `in_file_order` are its values row by row.
pub fn decide(fits: &[Fit], in_file_order: &[&str]) -> Option<(Fit, DayOrder)> {
    let Fit { format, wrong } = fits.first()?.clone();
    let Some(other) = format.with_day_and_month_exchanged() else {
        return Some((Fit { format, wrong }, DayOrder::Plain));
    };
    let as_good = Fit {
        format: other.clone(),
        wrong,
    };
    if !fits.contains(&as_good) {
        return Some((Fit { format, wrong }, DayOrder::Shown));
    }
    let steps_back = |format: &TimeFormat| {
        let times: Vec<i64> = in_file_order
            .iter()
            .filter_map(|text| format.micros(text))
            .collect();
        let up = times.windows(2).filter(|pair| pair[1] > pair[0]).count();
        let down = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
        // A file may be sorted from the newest to the oldest.
        up.min(down)
    };
    let (of_first, of_other) = (steps_back(&format), steps_back(&other));
    if of_first.min(of_other) * 5 <= of_first.max(of_other) && of_first.max(of_other) >= 3 {
        let format = if of_first < of_other { format } else { other };
        return Some((Fit { format, wrong }, DayOrder::Sorted));
    }
    let format = if format.day_is_first() { format } else { other };
    Some((Fit { format, wrong }, DayOrder::Assumed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::time_fits::fits;

    fn counted<'a>(texts: &[&'a str]) -> Vec<(&'a str, u32)> {
        texts.iter().map(|text| (*text, 1)).collect()
    }

    fn decided(texts: &[&str]) -> Option<(String, DayOrder)> {
        let (fit, why) = decide(&fits(&counted(texts)), texts)?;
        Some((fit.format.shown(), why))
    }

    #[test]
    fn day_or_month_first_is_decided_by_the_data() {
        let with_31 = ["31/12/2021", "01/02/2021"];
        assert_eq!(
            decided(&with_31),
            Some(("dd/mm/yyyy".to_owned(), DayOrder::Shown))
        );
        // The first of each month, sorted, means the first number is the month.
        let sorted: Vec<String> = (1..=12)
            .flat_map(|month| (1..=12).map(move |day| format!("{month:02}/{day:02}/2021")))
            .collect();
        let sorted: Vec<&str> = sorted.iter().map(String::as_str).collect();
        assert_eq!(
            decided(&sorted),
            Some(("mm/dd/yyyy".to_owned(), DayOrder::Sorted))
        );
        let few = ["05/06/2021", "02/03/2021"];
        assert_eq!(
            decided(&few),
            Some(("dd/mm/yyyy".to_owned(), DayOrder::Assumed))
        );
        let iso = ["2021-03-04"];
        assert_eq!(
            decided(&iso),
            Some(("ISO 8601".to_owned(), DayOrder::Plain))
        );
    }
}
