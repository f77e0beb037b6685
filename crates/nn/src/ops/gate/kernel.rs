//! The gate's logits, their softmax and the most likely expert on the CPU, sixteen tokens at a time.

use crate::ops::lanes::{LANES, Lanes, Line, OnLanes, on_lanes};
use crate::ops::turned::{TILE, scores, turn};

/// A gate's weight by expert: rows of lines, as many as are a multiple of [`TILE`], and zeros after the last.
pub(super) struct Weight {
    lines: Vec<Line>,
    width: usize,
    experts: usize,
}

impl Weight {
    /// Of W [d, E].
    pub(super) fn new(weight: &[f32], experts: usize) -> Self {
        let width = weight.len() / experts;
        let of_row = width.div_ceil(LANES);
        let mut lines = vec![Line::ZERO; experts.next_multiple_of(TILE) * of_row];
        for (column, row) in weight.chunks_exact(experts).enumerate() {
            for (expert, &value) in row.iter().enumerate() {
                lines[expert * of_row + column / LANES].0[column % LANES] = value;
            }
        }
        Self {
            lines,
            width,
            experts,
        }
    }

    /// What the gate says of the tokens x [n, d].
    pub(super) fn softmax(&self, x: &[f32], said: Said<'_>) {
        crate::profile::multiplied(said.best.len(), self.experts, self.width);
        on_lanes(Softmax {
            weight: self,
            x,
            said,
        });
    }
}

/// Where it goes.
pub(super) struct Said<'a> {
    /// [n, E].
    pub(super) probabilities: &'a mut [f32],
    /// logsumexp of the logits, `[n]`.
    pub(super) normalizers: &'a mut [f32],
    /// The expert with the largest probability, the lower one among equals, `[n]`.
    pub(super) best: &'a mut [u32],
}

struct Softmax<'a> {
    weight: &'a Weight,
    x: &'a [f32],
    said: Said<'a>,
}

impl OnLanes for Softmax<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let &Weight { width, experts, .. } = self.weight;
        let of_row = width.div_ceil(LANES);
        let mut columns = vec![Line::ZERO; width];
        let mut logits = vec![Line::ZERO; experts.next_multiple_of(TILE)];
        let tokens = self.x.chunks(LANES * width);
        let probabilities = self.said.probabilities.chunks_mut(LANES * experts);
        let normalizers = self.said.normalizers.chunks_mut(LANES);
        let best = self.said.best.chunks_mut(LANES);
        for (((x, probabilities), normalizers), best) in
            tokens.zip(probabilities).zip(normalizers).zip(best)
        {
            turn(&mut columns, |token, line| {
                let row = x.get(token * width..).unwrap_or_default(); // fewer tokens: zeros
                let end = row.len().min(width).min((line + 1) * LANES);
                L::of_some(&row[(line * LANES).min(end)..end])
            });
            scores::<L>(&columns, &self.weight.lines, &mut logits, of_row);
            softmax::<L>(&mut logits[..experts], normalizers, best);
            untangle::<L>(&logits[..experts], probabilities);
        }
    }
}

/// Turns the logits of sixteen tokens, by expert, into probabilities. NaN makes a token's all NaN.
#[inline(always)]
fn softmax<L: Lanes>(logits: &mut [Line], normalizers: &mut [f32], best: &mut [u32]) {
    let mut largest = L::splat(f32::NEG_INFINITY);
    for logit in logits.iter() {
        largest = L::load(logit).max(largest);
    }
    let mut total = L::splat(0.0);
    for logit in logits.iter_mut() {
        let weight = L::load(logit).sub(largest).exp();
        total = total.add(weight);
        weight.store(logit);
    }
    let mut totals = Line::ZERO;
    total.store(&mut totals);
    let inverse = L::load(&Line(totals.0.map(|total| 1.0 / total)));
    let (mut most, mut place) = (L::splat(f32::NEG_INFINITY), L::splat(0.0));
    for (expert, weight) in logits.iter_mut().enumerate() {
        let p = L::load(weight).mul(inverse);
        place = p.where_larger(most, L::splat(expert as f32), place);
        most = p.max(most);
        p.store(weight);
    }
    let (mut maxima, mut places) = (Line::ZERO, Line::ZERO);
    largest.store(&mut maxima);
    place.store(&mut places);
    for ((to, largest), total) in normalizers.iter_mut().zip(maxima.0).zip(totals.0) {
        *to = largest + total.ln();
    }
    for (to, place) in best.iter_mut().zip(places.0) {
        *to = place as u32;
    }
}

/// From lanes by expert to rows of tokens: `rows` [n, E].
#[inline(always)]
fn untangle<L: Lanes>(by_expert: &[Line], rows: &mut [f32]) {
    let experts = by_expert.len();
    for (i, lines) in by_expert.chunks(LANES).enumerate() {
        let mut tile = [L::splat(0.0); LANES];
        for (values, line) in tile.iter_mut().zip(lines) {
            *values = L::load(line);
        }
        let tile = L::transposed(tile);
        for (row, values) in rows.chunks_exact_mut(experts).zip(tile) {
            values.put_some(&mut row[i * LANES..][..lines.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Initial;

    #[test]
    fn softmax_of_odd_sizes_is_the_plain_one() {
        for (tokens, width, experts) in [
            (1, 1, 1),
            (17, 5, 3),
            (33, 40, 8),
            (16, 16, 19),
            (5, 64, 64),
        ] {
            let x = Initial::Normal(1.0).values(tokens * width, 1);
            let weight = Initial::Normal(0.5).values(width * experts, 2);
            let (mut probabilities, mut normalizers) =
                (vec![f32::NAN; tokens * experts], vec![f32::NAN; tokens]);
            let mut best = vec![u32::MAX; tokens];
            Weight::new(&weight, experts).softmax(
                &x,
                Said {
                    probabilities: &mut probabilities,
                    normalizers: &mut normalizers,
                    best: &mut best,
                },
            );
            for token in 0..tokens {
                let logit = |e: usize| -> f64 {
                    (0..width)
                        .map(|c| {
                            f64::from(x[token * width + c]) * f64::from(weight[c * experts + e])
                        })
                        .sum()
                };
                let total: f64 = (0..experts).map(|e| logit(e).exp()).sum();
                assert!((f64::from(normalizers[token]) - total.ln()).abs() < 1e-5);
                let row = &probabilities[token * experts..][..experts];
                for (e, &p) in row.iter().enumerate() {
                    assert!((f64::from(p) - logit(e).exp() / total).abs() < 1e-6);
                    assert!(p <= row[best[token] as usize]);
                }
            }
        }
    }

    #[test]
    fn among_equals_the_lower_expert_and_nan_stays() {
        let weight = Weight::new(&[1.0, 1.0, 0.0], 3);
        let (mut probabilities, mut normalizers, mut best) = ([0.0; 6], [0.0; 2], [9; 2]);
        weight.softmax(
            &[1.0, f32::NAN],
            Said {
                probabilities: &mut probabilities,
                normalizers: &mut normalizers,
                best: &mut best,
            },
        );
        assert_eq!(best, [0, 0]);
        assert_eq!(probabilities[0], probabilities[1]);
        assert!(probabilities[3..].iter().all(|p| p.is_nan()));
        assert!(normalizers[1].is_nan());
    }
}
