//! From values to places on paper: ranges, ticks that people count in, and their texts.

/// A closed range of values; `low` is below `high`, both finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    pub(crate) const UNIT: Range = Range {
        low: 0.0,
        high: 1.0,
    };

    /// The smallest range that holds all finite values; around a single value some room.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Range {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        // The difference of two such numbers is finite, and has a step.
        let most = 1e300;
        for value in values.filter(|value| value.is_finite()) {
            low = low.min(value.max(-most));
            high = high.max(value.min(most));
        }
        if low > high {
            return Range::UNIT;
        }
        if high - low <= low.abs().max(high.abs()) * 1e-9 {
            let room = if low == 0.0 { 0.5 } else { low.abs() * 0.1 };
            return Range {
                low: low - room,
                high: high + room,
            };
        }
        Range { low, high }
    }

    /// Widened to whole ticks.
    pub(crate) fn rounded(self, ticks: usize) -> Range {
        let step = step(self, ticks);
        Range {
            low: (self.low / step).floor() * step,
            high: (self.high / step).ceil() * step,
        }
    }

    /// 0 at `low` and below, 1 at `high` and above; 0 for what is no number.
    pub(crate) fn share(self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        }
    }

    /// About `count` values, a step of 1, 2 or 5 times a power of ten apart.
    pub(crate) fn ticks(self, count: usize) -> Vec<f64> {
        let step = step(self, count);
        let first = (self.low / step - 1e-9).ceil();
        let last = (self.high / step + 1e-9).floor();
        // Far from zero neighbours cannot be told apart.
        let ticks = ((last - first) as usize).min(count * 3);
        (0..=ticks)
            .map(|tick| (first + tick as f64) * step)
            .collect()
    }
}

/// Ticks of a range that holds `values`, none outside of them: a single value has its own.
pub(crate) fn ticks_among(range: Range, values: impl Iterator<Item = f64>) -> Vec<f64> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    let mut ticks = range.ticks(5);
    ticks.retain(|tick| (low..=high).contains(tick));
    if ticks.is_empty() && low.is_finite() {
        ticks.push(low);
    }
    ticks
}

fn step(range: Range, count: usize) -> f64 {
    let rough = (range.high - range.low) / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    // A quotient that is whole but for rounding counts as whole.
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| rough / power <= factor * (1.0 + 1e-9))
        .unwrap_or(10.0);
    // A range of the smallest numbers has no power of ten.
    let step = power * factor;
    if step.is_finite() && step > 0.0 {
        step
    } else {
        range.high - range.low
    }
}

/// The texts of ticks, all with the decimals that their step needs: `0.70`, `12k`, `1e-5`.
pub(crate) fn tick_texts(ticks: &[f64]) -> Vec<String> {
    let size = ticks
        .iter()
        .fold(0.0_f64, |size, tick| size.max(tick.abs()));
    let step = match ticks {
        [first, second, ..] => (second - first).abs(),
        _ => size,
    };
    ticks
        .iter()
        .map(|tick| match size {
            _ if *tick == 0.0 || tick.abs() < step * 1e-6 => "0".to_owned(),
            s if !(1e-3..1e9).contains(&s) => short_exponent(*tick),
            s if s >= 1e6 => format!("{}M", decimals(tick / 1e6, step / 1e6)),
            s if s >= 1e4 => format!("{}k", decimals(tick / 1e3, step / 1e3)),
            _ => decimals(*tick, step),
        })
        .collect()
}

fn decimals(value: f64, step: f64) -> String {
    let places = (-step.log10() - 1e-9).ceil().clamp(0.0, 6.0) as usize;
    format!("{value:.places$}")
}

fn short_exponent(value: f64) -> String {
    let text = format!("{value:.1e}");
    text.replace(".0e", "e")
}

/// A coordinate with as many digits as can be seen.
pub(crate) fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64) -> Vec<String> {
        tick_texts(&Range { low, high }.ticks(5))
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(texts(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(0.6, 0.71), ["0.60", "0.65", "0.70"]);
        assert_eq!(
            texts(0.45, 0.7),
            ["0.45", "0.50", "0.55", "0.60", "0.65", "0.70"]
        );
        assert_eq!(texts(0.0, 48_000.0), ["0", "10k", "20k", "30k", "40k"]);
        assert_eq!(texts(0.0, 2e-5), ["0", "5e-6", "1e-5", "1.5e-5", "2e-5"]);
        assert_eq!(texts(-3.0, 2.0), ["-3", "-2", "-1", "0", "1", "2"]);
    }

    #[test]
    fn a_single_value_is_its_own_tick() {
        let ticks = |values: &[f64]| {
            let values = values.iter().copied();
            ticks_among(Range::of(values.clone()), values)
        };
        assert_eq!(ticks(&[41.0]), [41.0]);
        assert_eq!(ticks(&[0.0, 10.0]), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(&[]), [0.0; 0]);
    }

    #[test]
    fn any_values_have_a_range() {
        assert_eq!(Range::of([].into_iter()), Range::UNIT);
        assert_eq!(
            Range::of([f64::NAN, f64::INFINITY].into_iter()),
            Range::UNIT
        );
        for values in [
            [0.0, 0.0],
            [1e300, -1e300],
            [f64::MAX, f64::MIN],
            [5.0, 5.0],
            [1e-320, 2e-320],
            [1e16, 1e16 + 2.0],
        ] {
            let range = Range::of(values.into_iter());
            assert!(range.low < range.high, "{values:?} {range:?}");
            let rounded = range.rounded(5);
            assert!(
                rounded.share(values[0]).is_finite(),
                "{values:?} {rounded:?}"
            );
            assert!(range.ticks(5).len() <= 16, "{values:?}");
        }
    }

    #[test]
    fn places_are_short() {
        assert_eq!(
            [12.0, 12.34, -0.01, 0.96].map(place),
            ["12", "12.3", "0", "1"].map(str::to_owned).map(|text| text)
        );
    }
}
