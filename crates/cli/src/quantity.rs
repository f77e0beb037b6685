//! Durations, sizes and counts as people read them.

/// `0.42 s`, `12.3 s`, `3m 05s`, `2h 10m`, `4d 3h`.
pub fn seconds(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".to_owned();
    }
    if seconds < 9.995 {
        return format!("{seconds:.2} s");
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    // Far beyond any run; keeps the cast exact.
    let whole = seconds.round().min(1e12) as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    match (days, whole / 3_600) {
        (0, 0) => format!("{minutes}m {:02}s", whole % 60),
        (0, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// `950`, `12.3k`, `4.5M`: at most five columns.
pub fn short_count(count: f64) -> String {
    let magnitude = count.abs();
    if magnitude >= 999_500_000.0 {
        format!("{:.1}G", count / 1e9)
    } else if magnitude >= 999_500.0 {
        format!("{:.1}M", count / 1e6)
    } else if magnitude >= 9_999.5 {
        format!("{:.1}k", count / 1e3)
    } else if magnitude >= 99.95 || count == count.trunc() {
        format!("{count:.0}")
    } else if magnitude >= 0.995 {
        format!("{count:.1}")
    } else {
        format!("{count:.2}")
    }
}

/// `1 stage`, `2 stages`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_grow_coarser() {
        let shown: Vec<String> = [
            0.0, 0.4213, 9.996, 12.34, 59.96, 185.0, 3_599.6, 7_800.0, 356_400.0,
        ]
        .map(seconds)
        .to_vec();
        assert_eq!(
            shown,
            [
                "0.00 s", "0.42 s", "10.0 s", "12.3 s", "1m 00s", "3m 05s", "1h 00m", "2h 10m",
                "4d 3h"
            ]
        );
        assert_eq!(seconds(f64::NAN), "?");
        assert_eq!(seconds(f64::INFINITY), "?");
    }

    #[test]
    fn sizes_change_unit_before_four_digits_appear() {}

    #[test]
    fn counts_are_short() {
        let shown: Vec<String> = [0.0, 0.25, 3.12, 950.0, 12_340.0, 4_500_000.0]
            .map(short_count)
            .to_vec();
        assert_eq!(shown, ["0", "0.25", "3.1", "950", "12.3k", "4.5M"]);
    }
}
