//! Sizes and durations as they are written on the command line, with their units.

use std::time::Duration;

/// `512MiB`, `8GiB`, `1.5GB`: bytes.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 9] = [
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
        ("KB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("B", 1.0),
    ];
    UNITS
        .iter()
        .find_map(|(unit, factor)| {
            let number = positive(text.strip_suffix(unit)?)?;
            Some((number * factor) as u64)
        })
        .ok_or_else(|| "expected a number and a unit, such as 512MiB or 8GiB".to_owned())
}

/// `200ms`, `10s`, `5m`, `2h`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    UNITS
        .iter()
        .find_map(|(unit, factor)| {
            let number = positive(text.strip_suffix(unit)?)?;
            Duration::try_from_secs_f64(number * factor).ok()
        })
        .ok_or_else(|| "expected a number and a unit, such as 500ms, 10s or 2m".to_owned())
}

fn positive(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("1.5 GB"), Ok(1_500_000_000));
        assert_eq!(parse_bytes("7B"), Ok(7));
        for wrong in ["", "5", "GiB", "-1GiB", "1e3MB", "infB", "much"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["", "5", "s", "-1s", "nans", "99999999999999999999999999h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
