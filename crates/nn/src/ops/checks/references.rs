//! The operations in plain f64 code, one value after the other.

use std::ops::Range;

use crate::ops::Candidates;

pub(crate) fn linear(
    x: &[f64],
    w: &[f64],
    b: Option<&[f64]>,
    inputs: usize,
    outputs: usize,
) -> Vec<f64> {
    let mut y = Vec::new();
    for row in x.chunks(inputs) {
        for o in 0..outputs {
            let bias = b.map_or(0.0, |b| b[o]);
            y.push(
                bias + (0..inputs)
                    .map(|i| row[i] * w[i * outputs + o])
                    .sum::<f64>(),
            );
        }
    }
    y
}

pub(crate) fn layer_norm(x: &[f64], scale: &[f64], shift: &[f64], relu: bool) -> Vec<f64> {
    let width = scale.len();
    let mut y = Vec::new();
    for row in x.chunks(width) {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        for c in 0..width {
            let value = (row[c] - mean) / (variance + 1e-5).sqrt() * scale[c] + shift[c];
            y.push(if relu { value.max(0.0) } else { value });
        }
    }
    y
}

pub(crate) fn softmax(x: &[f64]) -> Vec<f64> {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = x.iter().map(|x| (x - largest).exp()).collect();
    let total: f64 = exps.iter().sum();
    exps.iter().map(|e| e / total).collect()
}

pub(crate) fn log_sum_exp(x: &[f64]) -> f64 {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + x.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
}

pub(crate) fn attention(
    q: &[f64],
    k: &[f64],
    v: &[f64],
    width: usize,
    heads: usize,
    sequences: &[Range<usize>],
) -> Vec<f64> {
    let size = width / heads;
    let mut y = vec![0.0; q.len()];
    for rows in sequences {
        for head in 0..heads {
            let columns = head * size..(head + 1) * size;
            for i in rows.clone() {
                let score = |j: usize| {
                    columns
                        .clone()
                        .map(|c| q[i * width + c] * k[j * width + c])
                        .sum::<f64>()
                        / (size as f64).sqrt()
                };
                let weights = softmax(&rows.clone().map(score).collect::<Vec<_>>());
                for c in columns.clone() {
                    y[i * width + c] = rows
                        .clone()
                        .zip(&weights)
                        .map(|(j, w)| w * v[j * width + c])
                        .sum();
                }
            }
        }
    }
    y
}

/// Output, balance loss, z-loss of a mixture; `expert(row, e)` is one expert on one token.
pub(crate) fn mixture(
    x: &[f64],
    gate: &[f64],
    experts: usize,
    top_k: usize,
    capacity: usize,
    expert: impl Fn(&[f64], usize) -> Vec<f64>,
) -> Vec<Vec<f64>> {
    mixture_seeing(x, x, gate, experts, top_k, capacity, expert)
}

/// The same with another input of the gate than of the experts.
pub(crate) fn mixture_seeing(
    x: &[f64],
    seen: &[f64],
    gate: &[f64],
    experts: usize,
    top_k: usize,
    capacity: usize,
    expert: impl Fn(&[f64], usize) -> Vec<f64>,
) -> Vec<Vec<f64>> {
    let width = gate.len() / experts;
    let tokens = x.len() / width;
    let (mut y, mut counts, mut means, mut z) =
        (Vec::new(), vec![0usize; experts], vec![0.0; experts], 0.0);
    for (row, seen) in x.chunks(width).zip(seen.chunks(width)) {
        let logits = linear(seen, gate, None, width, experts);
        let p = softmax(&logits);
        z += log_sum_exp(&logits).powi(2) / tokens as f64;
        for (mean, p) in means.iter_mut().zip(&p) {
            *mean += p / tokens as f64;
        }
        let mut order: Vec<usize> = (0..experts).collect();
        order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
        order.truncate(top_k);
        let total: f64 = if top_k == 1 {
            1.0
        } else {
            order.iter().map(|&e| p[e]).sum()
        };
        let mut out: Vec<f64> = expert(row, 0).iter().map(|_| 0.0).collect();
        for e in order {
            counts[e] += 1;
            if counts[e] <= capacity {
                for (out, value) in out.iter_mut().zip(expert(row, e)) {
                    *out += p[e] / total * value;
                }
            }
        }
        y.extend(out);
    }
    let choices = (tokens * top_k) as f64;
    let balance = (0..experts)
        .map(|e| counts[e] as f64 / choices * means[e])
        .sum::<f64>()
        * experts as f64;
    vec![y, vec![balance], vec![z]]
}

/// One feed-forward expert on one token; weights are those of all experts.
pub(crate) fn expert_ffn(
    row: &[f64],
    e: usize,
    wi: &[f64],
    bi: &[f64],
    wo: &[f64],
    bo: &[f64],
    inner: usize,
) -> Vec<f64> {
    let width = row.len();
    let size = width * inner;
    let h = linear(
        row,
        &wi[e * size..][..size],
        Some(&bi[e * inner..][..inner]),
        width,
        inner,
    );
    let h: Vec<f64> = h.iter().map(|h| h.max(0.0)).collect();
    linear(
        &h,
        &wo[e * size..][..size],
        Some(&bo[e * width..][..width]),
        inner,
        width,
    )
}

pub(crate) fn segment_max(x: &[f64], width: usize, sequences: &[Range<usize>]) -> Vec<f64> {
    let largest = |rows: &Range<usize>, c: usize| {
        rows.clone()
            .map(|row| x[row * width + c])
            .reduce(f64::max)
            .unwrap_or(0.0)
    };
    sequences
        .iter()
        .flat_map(|rows| (0..width).map(move |c| largest(rows, c)))
        .collect()
}

pub(crate) fn cross_entropy(logits: &[f64], classes: usize, targets: &[Option<usize>]) -> f64 {
    let losses: Vec<f64> = logits
        .chunks(classes)
        .zip(targets)
        .filter_map(|(row, target)| target.map(|target| log_sum_exp(row) - row[target]))
        .collect();
    losses.iter().sum::<f64>() / losses.len() as f64
}

/// `classes` are [U, width + 1]: weights and a bias; the expected counts are given as logarithms.
pub(crate) fn sampled_softmax(x: &[f64], classes: &[f64], candidates: &Candidates) -> f64 {
    let rows = candidates.targets.len();
    let width = x.len() / rows;
    let mut total = 0.0;
    for (i, row) in x.chunks(width).enumerate() {
        let logit = |class: u32, log_count: f32| {
            let class = &classes[class as usize * (width + 1)..][..width + 1];
            let product: f64 = row.iter().zip(class).map(|(x, w)| x * w).sum();
            product + class[width] - f64::from(log_count)
        };
        let target = candidates.targets[i];
        let own = logit(target, candidates.target_log_counts[i]);
        let samples = candidates
            .samples
            .iter()
            .zip(&*candidates.sample_log_counts);
        let mut logits: Vec<f64> = samples
            .filter(|(sample, _)| **sample != target)
            .map(|(&sample, &log_count)| logit(sample, log_count))
            .collect();
        logits.push(own);
        total += log_sum_exp(&logits) - own;
    }
    total / rows as f64
}
