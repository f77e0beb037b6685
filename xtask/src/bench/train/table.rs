//! Medians and ratios.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::contender::Kind;
use super::figures::{Figures, median};

/// Figures of each (configuration, contender), the configurations in the order of their first figures.
#[derive(Default)]
pub struct Table {
    order: Vec<String>,
    samples: BTreeMap<(String, Kind), Vec<Figures>>,
}

impl Table {
    pub fn add(&mut self, configuration: &str, kind: Kind, figures: Figures) {
        if self.order.iter().all(|name| name != configuration) {
            self.order.push(configuration.to_owned());
        }
        let key = (configuration.to_owned(), kind);
        self.samples.entry(key).or_default().push(figures);
    }

    /// Median of our step, in milliseconds.
    pub fn own_ms(&self, configuration: &str) -> Option<f64> {
        self.median(configuration, Kind::Ours, |figures| figures.step_ms)
    }

    /// Median of our step, and its matrix products in GFLOP.
    pub fn own_work(&self, configuration: &str) -> Option<(f64, f64)> {
        let key = (configuration.to_owned(), Kind::Ours);
        let products = self
            .samples
            .get(&key)?
            .iter()
            .filter_map(|figures| figures.gflop);
        Some((self.own_ms(configuration)?, median(products)?))
    }

    fn median(&self, name: &str, kind: Kind, of: impl Fn(&Figures) -> f64) -> Option<f64> {
        let samples = self.samples.get(&(name.to_owned(), kind))?;
        median(samples.iter().map(of))
    }

    /// A row for each configuration; of each peer its step, how many times as long as ours that is, and
    /// our share of its memory.
    pub fn markdown(&self) -> String {
        let peers: Vec<Kind> = Kind::PEERS
            .into_iter()
            .filter(|kind| self.samples.keys().any(|(_, present)| present == kind))
            .collect();
        let mut text = String::from("| configuration | supermoe | sequences/s | peak memory |");
        for peer in &peers {
            let name = peer.name();
            let _ = write!(
                text,
                " {name} | ratio | sequences/s | peak memory | ratio |"
            );
        }
        let columns = 4 + 5 * peers.len();
        let _ = writeln!(text, "\n|{}", " --- |".repeat(columns));
        for name in &self.order {
            let _ = write!(text, "| {name} |{}", self.cells(name, Kind::Ours));
            for &peer in &peers {
                text.push_str(&self.cells(name, peer));
            }
            text.push('\n');
        }
        text
    }

    fn cells(&self, name: &str, kind: Kind) -> String {
        let of = |kind, of: fn(&Figures) -> f64| self.median(name, kind, of);
        let step = |figures: &Figures| figures.step_ms;
        let memory = |figures: &Figures| figures.peak_mb;
        let rate = of(kind, |figures| figures.sequences_per_second);
        let (Some(ms), Some(rate), Some(peak)) = (of(kind, step), rate, of(kind, memory)) else {
            return " |".repeat(5);
        };
        let (ms_text, rate, peak_text) = (
            format!("{ms:.1} ms"),
            format!("{rate:.0}"),
            format!("{peak:.0} MiB"),
        );
        match (kind, of(Kind::Ours, step), of(Kind::Ours, memory)) {
            (Kind::Ours, ..) | (_, None, _) | (_, _, None) => {
                format!(" {ms_text} | {rate} | {peak_text} |")
            }
            (_, Some(own_ms), Some(own_peak)) => format!(
                " {ms_text} | {:.2} | {rate} | {peak_text} | {:.2} |",
                ms / own_ms,
                own_peak / peak
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(step_ms: f64, peak_mb: f64) -> Figures {
        Figures {
            step_ms,
            sequences_per_second: 64e3 / step_ms,
            peak_mb,
            gflop: Some(4.0),
        }
    }

    #[test]
    fn medians_and_ratios_stand_beside_each_other() {
        let mut table = Table::default();
        for step_ms in [30.0, 20.0, 25.0] {
            table.add("small", Kind::Ours, figures(step_ms, 100.0));
            table.add("small", Kind::Eager, figures(2.0 * step_ms, 400.0));
        }
        table.add("moe1", Kind::Ours, figures(10.0, 50.0));
        assert_eq!(
            table.markdown(),
            "| configuration | supermoe | sequences/s | peak memory | PyTorch | ratio | sequences/s | peak memory | ratio |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n\
             | small | 25.0 ms | 2560 | 100 MiB | 50.0 ms | 2.00 | 1280 | 400 MiB | 0.25 |\n\
             | moe1 | 10.0 ms | 6400 | 50 MiB | | | | | |\n"
        );
        assert_eq!(table.own_work("small"), Some((25.0, 4.0)));
        assert_eq!(table.own_ms("deep"), None);
    }
}
