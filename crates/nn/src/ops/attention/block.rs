//! Attention of one head over one sequence, sixteen queries at a time: scores and weights stand with queries
//! in lanes, so that softmax runs along registers, and keys and values are read as rows.

use std::ops::Range;

use crate::ops::lanes::{LANES, Lanes, Line, OnLanes};
use crate::ops::turned::{TILE, scores, turn};

/// Memory of one sequence: rows by head, steps padded to a multiple of [`LANES`], columns of a head to lines.
/// Rows are copied out of their matrix and back one after the other, all heads at once, as they stand in
/// memory; a head reads its own again and again.
#[derive(Default)]
pub(super) struct Scratch {
    /// Queries, keys and values. [heads, T, lines] each
    parts: [Vec<Line>; 3],
    /// Their gradients.
    d_parts: [Vec<Line>; 3],
    /// The result, or its gradient. [heads, T, lines]
    out: Vec<Line>,
    /// Sixteen queries, and the gradients of their results, in lanes by column. [size] each
    columns: Vec<Line>,
    d_columns: Vec<Line>,
    /// Weights of sixteen queries, and their gradients, in lanes by key. [T] each
    weights: Vec<Line>,
    d_weights: Vec<Line>,
}

/// Sizes of one sequence.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) heads: usize,
    pub(super) steps: usize,
    /// Columns of a head.
    pub(super) size: usize,
}

impl Sizes {
    /// Lines of a row.
    fn lines(self) -> usize {
        self.size.div_ceil(LANES)
    }

    /// Steps with their padding.
    fn padded(self) -> usize {
        self.steps.next_multiple_of(LANES)
    }

    /// Blocks of sixteen queries of all heads.
    pub(super) fn blocks(self) -> usize {
        self.heads * self.steps.div_ceil(LANES)
    }

    /// Lines of one head, and of all.
    fn area(self) -> (usize, usize) {
        let of_head = self.padded() * self.lines();
        (of_head, self.heads * of_head)
    }

    fn width(self) -> usize {
        self.heads * self.size
    }

    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }
}

/// Rows of a matrix, or of a part of its columns: they begin `stride` values apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
}

/// The same to write to.
pub(super) struct RowsMut<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) stride: usize,
}

/// Where the gradients of queries, keys and values of one sequence go: one slice [T, 3 d], or three [T, d].
pub(super) struct Targets<'a> {
    pub(super) slices: Vec<&'a mut [f32]>,
    /// d.
    pub(super) width: usize,
}

impl Targets<'_> {
    #[inline(always)]
    fn part(&mut self, part: usize) -> RowsMut<'_> {
        let stride = 3 * self.width / self.slices.len();
        let (slice, column) = match self.slices.len() {
            1 => (0, part * self.width),
            _ => (part, 0),
        };
        RowsMut {
            values: self.slices[slice].get_mut(column..).unwrap_or_default(),
            stride,
        }
    }
}

/// Sixteen queries' largest scaled scores, and one over their sums of exp(score - largest).
pub(super) type Normalizers = [Line; 2];

/// The result of one sequence.
pub(super) struct Forward<'a> {
    pub(super) scratch: &'a mut Scratch,
    pub(super) sizes: Sizes,
    /// Queries, keys and values.
    pub(super) parts: [Rows<'a>; 3],
    pub(super) out: RowsMut<'a>,
    /// By head and block of queries.
    pub(super) normalizers: &'a mut [Normalizers],
}

impl OnLanes for Forward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        let (s, sizes) = (self.scratch, self.sizes);
        let (lines, (of_head, all)) = (sizes.lines(), sizes.area());
        let parts = s.parts.each_mut().map(|part| fit(part, all));
        gather::<L, 3>(parts, self.parts, sizes);
        let columns = fit(&mut s.columns, sizes.size);
        let weights = fit(&mut s.weights, sizes.padded());
        let out = fit(&mut s.out, all);
        let mut normalizers = self.normalizers.iter_mut();
        for head in 0..sizes.heads {
            let head = head * of_head..(head + 1) * of_head;
            let [queries, keys, values] = s.parts.each_ref().map(|part| &part[head.clone()]);
            let blocks = queries.chunks_exact(LANES * lines);
            let results = out[head].chunks_exact_mut(LANES * lines);
            for ((queries, out), normalizers) in blocks.zip(results).zip(&mut normalizers) {
                turn(columns, |row, line| L::load(&queries[row * lines + line]));
                scores::<L>(columns, keys, weights, lines);
                softmax::<L>(weights, sizes, normalizers);
                combine::<L>(weights, values, out, lines);
                for (row, inverse) in out.chunks_exact_mut(lines).zip(normalizers[1].0) {
                    for line in row {
                        L::load(line).mul(L::splat(inverse)).store(line);
                    }
                }
            }
        }
        scatter::<L>(out, &mut self.out, sizes, 0..sizes.steps);
    }
}

/// Turns the scores of sixteen queries into exp(scaled score - the largest).
#[inline(always)]
fn softmax<L: Lanes>(scores: &mut [Line], sizes: Sizes, normalizers: &mut Normalizers) {
    let (scores, padding) = scores.split_at_mut(sizes.steps);
    let scale = L::splat(sizes.scale());
    let mut largest = L::splat(f32::NEG_INFINITY);
    for score in scores.iter() {
        largest = largest.max(L::load(score));
    }
    let largest = largest.mul(scale);
    let mut total = L::splat(0.0);
    for score in scores.iter_mut() {
        let weight = L::load(score).mul(scale).sub(largest).exp();
        total = total.add(weight);
        weight.store(score);
    }
    padding.fill(Line::ZERO);
    largest.store(&mut normalizers[0]);
    let mut totals = Line::ZERO;
    total.store(&mut totals);
    normalizers[1].0 = totals.0.map(|total| 1.0 / total);
}

/// The gradients of one sequence's queries, keys and values, written to `targets`.
pub(super) struct Backward<'a> {
    pub(super) scratch: &'a mut Scratch,
    pub(super) sizes: Sizes,
    pub(super) parts: [Rows<'a>; 3],
    pub(super) d_out: Rows<'a>,
    pub(super) normalizers: &'a [Normalizers],
    pub(super) targets: Targets<'a>,
}

impl OnLanes for Backward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        let (s, sizes) = (self.scratch, self.sizes);
        let (lines, (of_head, all)) = (sizes.lines(), sizes.area());
        let parts = s.parts.each_mut().map(|part| fit(part, all));
        gather::<L, 3>(parts, self.parts, sizes);
        gather::<L, 1>([fit(&mut s.out, all)], [self.d_out], sizes);
        for part in &mut s.d_parts {
            fit(part, all).fill(Line::ZERO);
        }
        let columns = fit(&mut s.columns, sizes.size);
        let d_columns = fit(&mut s.d_columns, sizes.size);
        let weights = fit(&mut s.weights, sizes.padded());
        let d_weights = fit(&mut s.d_weights, sizes.padded());
        let mut normalizers = self.normalizers.iter();
        for head in 0..sizes.heads {
            let head = head * of_head..(head + 1) * of_head;
            let [queries, keys, values] = s.parts.each_ref().map(|part| &part[head.clone()]);
            let [d_queries, d_keys, d_values] =
                s.d_parts.each_mut().map(|part| &mut part[head.clone()]);
            let blocks = queries.chunks_exact(LANES * lines);
            let d_blocks = s.out[head].chunks_exact(LANES * lines);
            let results = d_queries.chunks_exact_mut(LANES * lines);
            let blocks = blocks.zip(d_blocks).zip(results).zip(&mut normalizers);
            for (((queries, d_out), d_queries), normalizers) in blocks {
                turn(columns, |row, line| L::load(&queries[row * lines + line]));
                turn(d_columns, |row, line| L::load(&d_out[row * lines + line]));
                scores::<L>(columns, keys, weights, lines);
                scores::<L>(d_columns, values, d_weights, lines);
                score_gradients::<L>(weights, d_weights, sizes, normalizers);
                combine::<L>(d_weights, keys, d_queries, lines);
                spread::<L>(d_weights, queries, d_keys, lines);
                spread::<L>(weights, d_out, d_values, lines);
            }
        }
        // As they stand in memory where they are parts of one matrix.
        for step in 0..sizes.steps {
            for (part, gradients) in s.d_parts.iter().enumerate() {
                let mut target = self.targets.part(part);
                scatter::<L>(gradients, &mut target, sizes, step..step + 1);
            }
        }
    }
}

/// Turns scores into weights again, and the gradients of weights into those of scores.
#[inline(always)]
fn score_gradients<L: Lanes>(
    weights: &mut [Line],
    d_weights: &mut [Line],
    sizes: Sizes,
    normalizers: &Normalizers,
) {
    let steps = sizes.steps;
    let scale = L::splat(sizes.scale());
    let [largest, inverse] = normalizers;
    let (largest, inverse) = (L::load(largest), L::load(inverse));
    let mut mean = L::splat(0.0);
    for (line, d_line) in weights[..steps].iter_mut().zip(d_weights.iter()) {
        let weight = L::load(line).mul(scale).sub(largest).exp().mul(inverse);
        mean = weight.mul_add(L::load(d_line), mean);
        weight.store(line);
    }
    for (line, d_line) in weights[..steps].iter().zip(d_weights.iter_mut()) {
        let d_score = L::load(d_line).sub(mean).mul(L::load(line)).mul(scale);
        d_score.store(d_line);
    }
    weights[steps..].fill(Line::ZERO);
    d_weights[steps..].fill(Line::ZERO);
}

/// The first `length` lines of a memory that grows where it is shorter.
#[inline(always)]
fn fit(memory: &mut Vec<Line>, length: usize) -> &mut [Line] {
    if memory.len() < length {
        memory.resize(length, Line::ZERO);
    }
    &mut memory[..length]
}

/// Rows by head of several matrices; those after the last are zero.
#[inline(always)]
fn gather<L: Lanes, const N: usize>(mut to: [&mut [Line]; N], from: [Rows<'_>; N], sizes: Sizes) {
    let (lines, (of_head, _)) = (sizes.lines(), sizes.area());
    for step in 0..sizes.steps {
        for (to, from) in to.iter_mut().zip(&from) {
            let row = &from.values[step * from.stride..][..sizes.width()];
            for (head, columns) in row.chunks_exact(sizes.size).enumerate() {
                let to = &mut to[head * of_head + step * lines..][..lines];
                for (to, columns) in to.iter_mut().zip(columns.chunks(LANES)) {
                    L::of_some(columns).store(to);
                }
            }
        }
    }
    for to in to {
        for head in to.chunks_exact_mut(of_head) {
            head[sizes.steps * lines..].fill(Line::ZERO);
        }
    }
}

/// These steps back from rows by head.
#[inline(always)]
fn scatter<L: Lanes>(from: &[Line], to: &mut RowsMut<'_>, sizes: Sizes, steps: Range<usize>) {
    let (lines, (of_head, _)) = (sizes.lines(), sizes.area());
    for step in steps {
        let row = &mut to.values[step * to.stride..][..sizes.width()];
        for (head, columns) in row.chunks_exact_mut(sizes.size).enumerate() {
            let from = &from[head * of_head + step * lines..][..lines];
            for (from, columns) in from.iter().zip(columns.chunks_mut(LANES)) {
                L::load(from).put_some(columns);
            }
        }
    }
}

/// `out[i]` = sum over t of lane i of `weights[t]` times row t. `rows` [T, lines], `out` [LANES, lines].
#[inline(always)]
fn combine<L: Lanes>(weights: &[Line], rows: &[Line], out: &mut [Line], lines: usize) {
    for line in 0..lines {
        for first in (0..LANES).step_by(TILE) {
            let mut sums = [L::splat(0.0); TILE];
            for (weight, row) in weights.iter().zip(rows.chunks_exact(lines)) {
                let row = L::load(&row[line]);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = L::splat(weight.0[first + i]).mul_add(row, *sum);
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                sum.store(&mut out[(first + i) * lines + line]);
            }
        }
    }
}

/// `out[t]` += sum over i of lane i of `weights[t]` times row i. `rows` [LANES, lines], `out` [T, lines].
#[inline(always)]
fn spread<L: Lanes>(weights: &[Line], rows: &[Line], out: &mut [Line], lines: usize) {
    let tiles = out.chunks_exact_mut(TILE * lines);
    for (weights, out) in weights.chunks_exact(TILE).zip(tiles) {
        for line in 0..lines {
            let mut sums = [L::splat(0.0); TILE];
            for (t, sum) in sums.iter_mut().enumerate() {
                *sum = L::load(&out[t * lines + line]);
            }
            for i in 0..LANES {
                let row = L::load(&rows[i * lines + line]);
                for (weight, sum) in weights.iter().zip(&mut sums) {
                    *sum = L::splat(weight.0[i]).mul_add(row, *sum);
                }
            }
            for (t, sum) in sums.into_iter().enumerate() {
                sum.store(&mut out[t * lines + line]);
            }
        }
    }
}
