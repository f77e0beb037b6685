//! Counts, shares and sizes as the page writes them.

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

/// `178 MiB`
pub(crate) fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    match (unit, size) {
        (0, _) => format!("{bytes} B"),
        (_, size) if size < 10.0 => format!("{size:.1} {}", UNITS[unit]),
        (_, size) => format!("{size:.0} {}", UNITS[unit]),
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
        assert_eq!(
            [12, 1536, 186_654_720, u64::MAX].map(bytes_text),
            ["12 B", "1.5 KiB", "178 MiB", "16777216 TiB"]
        );
    }
}
