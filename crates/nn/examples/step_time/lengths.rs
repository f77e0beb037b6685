//! Lengths of the retail data's training samples.

/// How many samples have which length: `{"source": …, "samples": {"2": 17, …}}`.
const HISTOGRAM: &str = include_str!("../../../../xtask/peers/train/retail_lengths.json");

#[derive(serde::Deserialize)]
struct Histogram {
    samples: std::collections::BTreeMap<usize, u64>,
}

/// `count` lengths at evenly spaced quantiles, ascending; the longest is `limit` at most.
pub fn quantiles(count: usize, limit: usize) -> Vec<usize> {
    let histogram: Histogram =
        serde_json::from_str(HISTOGRAM).expect("the program's own file is well formed");
    let total: u64 = histogram.samples.values().sum();
    let mut lengths = Vec::with_capacity(count);
    let mut below = 0;
    for (&length, &samples) in &histogram.samples {
        below += samples;
        while lengths.len() < count
            && (2 * lengths.len() as u64 + 1) * total <= 2 * count as u64 * below
        {
            lengths.push(length.min(limit));
        }
    }
    lengths
}
