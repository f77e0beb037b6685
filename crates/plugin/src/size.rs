//! Sizes in bytes with units: `512MiB`, `4GiB`, `2GB`.

const UNITS: [(&str, u64); 10] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// What a size looks like, as a regular expression.
pub const SIZE_PATTERN: &str = "^[0-9]+(\\.[0-9]+)?\\s*(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB)$";

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    #[error("has no unit")]
    NoUnit,
    #[error("has the unit `{0}`, which is none of B, KiB, MiB, GiB, TiB, kB, MB, GB and TB")]
    UnknownUnit(String),
    #[error("begins with no number")]
    NoNumber,
    #[error("is more than 1024TiB")]
    TooLarge,
    #[error("is zero")]
    Zero,
}

/// Reads a size of more than nothing: a whole or decimal number and a unit, with a space between
/// them or not.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let length = text
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .count();
    let number: f64 = text[..length].parse().map_err(|_| SizeError::NoNumber)?;
    let unit = text[length..].trim_start();
    if unit.is_empty() {
        return Err(SizeError::NoUnit);
    }
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(SizeError::UnknownUnit(unit.trim().to_owned()));
    };
    // Up to 2^50 bytes a f64 is exact.
    let bytes = (number * *factor as f64).round();
    if bytes > (1u64 << 50) as f64 {
        return Err(SizeError::TooLarge);
    }
    if bytes < 1.0 {
        Err(SizeError::Zero)
    } else {
        Ok(bytes as u64)
    }
}

/// `512 B`, `1.4 KiB`, `3.0 GiB`.
pub fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_binary_or_decimal() {
        for (text, bytes) in [
            ("1B", 1),
            ("512MiB", 512 << 20),
            ("4GiB", 4 << 30),
            ("1.5 KiB", 1536),
            ("2GB", 2_000_000_000),
            ("1kB", 1000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(parse_size("512"), Err(SizeError::NoUnit));
        assert_eq!(
            parse_size("4Gib"),
            Err(SizeError::UnknownUnit("Gib".to_owned()))
        );
        assert_eq!(parse_size("-1MiB"), Err(SizeError::NoNumber));
        assert_eq!(parse_size("0MiB"), Err(SizeError::Zero));
        assert_eq!(parse_size("9999999TiB"), Err(SizeError::TooLarge));
    }

    #[test]
    fn sizes_are_written_in_the_unit_that_keeps_them_short() {
        assert_eq!(size_text(1023), "1023 B");
        assert_eq!(size_text(1024), "1.0 KiB");
        assert_eq!(size_text(1536), "1.5 KiB");
        assert_eq!(size_text(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(size_text(u64::MAX), "16.0 EiB");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([0-9.]{0,400}|\\PC){0,4}[a-zA-Zµ]{0,4}") {
            let _ = parse_size(&text);
        }

        #[test]
        fn whole_bytes_are_exact(bytes in 1u64..(1 << 50)) {
            prop_assert_eq!(parse_size(&format!("{bytes}B")), Ok(bytes));
        }
    }
}
