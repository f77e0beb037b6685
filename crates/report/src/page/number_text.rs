//! Counts and shares as the page writes them.

/// `12 345 678`: digits in threes, with spaces that do not break.
pub(crate) fn count_text(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `20.9 %`, with a space that does not break.
pub(crate) fn percent_text(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        0.0 => "0\u{a0}%".to_owned(),
        p if p < 0.05 => "<\u{a0}0.05\u{a0}%".to_owned(),
        p if p < 10.0 => format!("{percent:.2}\u{a0}%"),
        _ => format!("{percent:.1}\u{a0}%"),
    }
}

/// `0.0312`; what is very small is told to be below 0.0001.
pub(crate) fn p_value_text(p: f64) -> String {
    match p {
        p if p < 0.0001 => "<\u{a0}0.0001".to_owned(),
        p => format!("{p:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count_text),
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
        assert_eq!(
            [0.0, 0.0001, 0.0664, 0.2138, 1.0]
                .map(|share| percent_text(share).replace('\u{a0}', " ")),
            ["0 %", "< 0.05 %", "6.64 %", "21.4 %", "100.0 %"]
        );
    }
}
