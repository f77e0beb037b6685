//! Times and numbers as people read them.

/// `0.12 s`, `12.3 s`, `1m 02s`, `2h 05m`.
pub(crate) fn seconds_text(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 59.95 => format!("{s:.1} s"),
        _ if whole < 3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        _ => format!("{}h {:02}m", whole / 3600, whole % 3600 / 60),
    }
}

/// Four decimals for what lies near one, five digits otherwise.
pub(crate) fn metric_text(value: f64) -> String {
    let size = value.abs();
    if value == value.trunc() && size < 1e9 {
        format!("{value:.0}")
    } else if (0.001..1000.0).contains(&size) {
        format!("{value:.4}")
    } else if (1000.0..1e9).contains(&size) {
        format!("{value:.1}")
    } else {
        format!("{value:.4e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        let times = [0.0, 0.123, 12.34, 59.99, 61.2, 7500.0].map(seconds_text);
        assert_eq!(
            times,
            ["0.00 s", "0.12 s", "12.3 s", "1m 00s", "1m 01s", "2h 05m"]
        );
    }

    #[test]
    fn metrics_have_the_digits_that_matter() {
        let texts = [0.71334, 1.0, 0.5, 12345.678, 0.00001234, -3.25].map(metric_text);
        assert_eq!(
            texts,
            ["0.7133", "1", "0.5000", "12345.7", "1.2340e-5", "-3.2500"]
        );
    }
}
