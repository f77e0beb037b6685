//! The mixture on the CPU: tasks are blocks of rows of one expert on the way forward, and longer chunks of
//! them on the way back, where a chunk's weight gradients and its scratch stay in the cache of a core.

use std::sync::Arc;

use dfdx::tensor::{Cpu, CpuError, Gradients, Tape};

use super::MoeWeights;
use crate::device::Ghost;
use crate::ops::buffers::Buffer;
use crate::ops::gate::MoeOptions;
use crate::ops::mixture::{
    ExpertsBackward, MoeOutput, fused_mixture, kept_blocks, kept_or_own, split_blocks,
};
use crate::ops::products::{Start, Strided, add_rows_to, multiply_from, transpose};
use crate::ops::routing::{Block, Routing};
use crate::ops::vectors::{self, vectorized};
use crate::threads::OnThreads;
use crate::{Error, Matrix};

/// Rows of one task of the backward pass.
const CHUNK: usize = 1024;
/// Rows whose inner gradients are in scratch at once.
const ROWS: usize = 128;

vectorized! {
    /// relu(x + bias) by row. NaN stays NaN.
    fn add_bias_relu(rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                let sum = *value + bias;
                *value = if sum < 0.0 { 0.0 } else { sum };
            }
        }
    }

    /// The gradient before relu, of the one after it; adds its sum over rows to `d_bias`.
    fn relu_gradient(d_hidden: &mut [f32], hidden: &[f32], d_bias: &mut [f32]) {
        let width = d_bias.len();
        let rows = d_hidden.chunks_exact_mut(width).zip(hidden.chunks_exact(width));
        for (d_row, row) in rows {
            for ((d, &h), sum) in d_row.iter_mut().zip(row).zip(&mut *d_bias) {
                *d = if h > 0.0 { *d } else { 0.0 };
                *sum += *d;
            }
        }
    }
}

/// Sizes and weights of all experts.
struct Experts {
    width: usize,
    inner: usize,
    /// [E, width, inner].
    wi: Arc<Buffer>,
    /// [E, inner].
    bi: Arc<Buffer>,
    /// [E, inner, width].
    wo: Arc<Buffer>,
    /// [E, width].
    bo: Arc<Buffer>,
}

impl Experts {
    fn wi(&self, expert: usize) -> &[f32] {
        &self.wi[expert * self.width * self.inner..][..self.width * self.inner]
    }

    fn wo(&self, expert: usize) -> &[f32] {
        &self.wo[expert * self.width * self.inner..][..self.width * self.inner]
    }

    /// Results [R, width] by served row; what the backward pass needs goes to `kept`.
    fn forward(&self, routing: &Routing, x: &[f32], kept: Option<&mut Kept>) -> Buffer {
        let (width, inner) = (self.width, self.inner);
        let blocks = routing.blocks();
        let mut rows = Buffer::scratch(routing.served() * width);
        let (sorted, hidden) = kept
            .map(|kept| (&mut kept.sorted, &mut kept.hidden))
            .unzip();
        blocks
            .iter()
            .zip(kept_blocks(sorted, width, &blocks))
            .zip(kept_blocks(hidden, inner, &blocks))
            .zip(split_blocks(&mut rows, width, &blocks))
            .for_each_on_threads(|(((block, sorted), hidden), out)| {
                let (mut own_sorted, mut own_hidden) = (None, None);
                let sorted = kept_or_own(sorted, &mut own_sorted, block.rows * width);
                let hidden = kept_or_own(hidden, &mut own_hidden, block.rows * inner);
                routing.gather(*block, x, sorted);
                let e = block.expert;
                let x = Strided::new(sorted, block.rows, width);
                let w = Strided::new(self.wi(e), width, inner);
                multiply_from(hidden, x, w, Start::Zero);
                add_bias_relu(hidden, &self.bi[e * inner..][..inner]);
                let h = Strided::new(hidden, block.rows, inner);
                let w = Strided::new(self.wo(e), inner, width);
                multiply_from(out, h, w, Start::Row(&self.bo[e * width..][..width]));
            });
        rows
    }
}

/// What the backward pass needs of the forward one.
struct Kept {
    /// Inputs by served row, [R, width].
    sorted: Buffer,
    /// Inner activations, [R, inner].
    hidden: Buffer,
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    weights: MoeWeights<'_, Cpu>,
    options: &MoeOptions,
    tape: &mut T,
) -> Result<MoeOutput<Cpu>, Error> {
    let (width, inner) = (x.shape().1, weights.inner_bias.shape().1);
    if inner == 0 || width == 0 || x.shape().0 == 0 {
        return Err(Error::value(
            "moe_ffn",
            "rows, width and inner width",
            "above 0",
            format!("{:?} and {inner}", x.shape()),
        ));
    }
    let experts = Experts {
        width,
        inner,
        wi: weights.inner.share(),
        bi: weights.inner_bias.share(),
        wo: weights.outer.share(),
        bo: weights.outer_bias.share(),
    };
    let ghosts = [
        weights.inner.ghost(),
        weights.inner_bias.ghost(),
        weights.outer.ghost(),
        weights.outer_bias.ghost(),
    ];
    let forward = |routing: &Routing, x: &[f32]| {
        let mut kept = T::OWNS_TAPE.then(|| Kept {
            sorted: Buffer::scratch(routing.served() * width),
            hidden: Buffer::scratch(routing.served() * inner),
        });
        let rows = experts.forward(routing, x, kept.as_mut());
        (rows, kept.map(|kept| (kept, experts)))
    };
    let backward = move |given: ExpertsBackward<'_>,
                         (kept, experts): (Kept, Experts),
                         gradients: &mut Gradients<f32, Cpu>| {
        experts_backward(&experts, &kept, given, &ghosts, gradients)
    };
    fused_mixture(x, weights.gate, width, options, tape, forward, backward)
}

/// Gradients of the parameters of one expert.
struct ExpertGradients<'a> {
    wi: &'a mut [f32],
    bi: &'a mut [f32],
    wo: &'a mut [f32],
    bo: &'a mut [f32],
    /// What they are added to.
    start: Start<'static>,
}

impl<'a> ExpertGradients<'a> {
    /// The four side by side in one slice, whose contents mean nothing yet.
    fn of(values: &'a mut [f32], experts: &Experts) -> Self {
        let size = experts.width * experts.inner;
        let (wi, rest) = values.split_at_mut(size);
        let (bi, rest) = rest.split_at_mut(experts.inner);
        let (wo, bo) = rest.split_at_mut(size);
        Self {
            wi,
            bi,
            wo,
            bo,
            start: Start::Zero,
        }
    }

    fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut *self.wi, &*other.wi),
            (&mut *self.bi, &*other.bi),
            (&mut *self.wo, &*other.wo),
            (&mut *self.bo, &*other.bo),
        ] {
            vectors::add_all(to, from);
        }
    }

    /// Those of an expert without rows.
    fn finish(self) {
        if matches!(self.start, Start::Zero) {
            for values in [self.wi, self.bi, self.wo, self.bo] {
                values.fill(0.0);
            }
        }
    }
}

/// The gradient of the sorted rows [R, width]; adds those of the parameters.
fn experts_backward(
    experts: &Experts,
    kept: &Kept,
    given: ExpertsBackward<'_>,
    ghosts: &[Ghost; 4],
    gradients: &mut Gradients<f32, Cpu>,
) -> Result<Buffer, CpuError> {
    let (width, inner) = (experts.width, experts.inner);
    let chunks = given.routing.chunks(CHUNK);
    let mut d_sorted = Buffer::scratch(kept.sorted.len());
    let (start, [mut d_wi, mut d_bi, mut d_wo, mut d_bo]) = gradients_so_far(ghosts, gradients)?;
    let mut by_expert: Vec<Option<ExpertGradients<'_>>> = d_wi
        .chunks_exact_mut(width * inner)
        .zip(d_bi.chunks_exact_mut(inner))
        .zip(d_wo.chunks_exact_mut(width * inner))
        .zip(d_bo.chunks_exact_mut(width))
        .map(|(((wi, bi), wo), bo)| {
            Some(ExpertGradients {
                wi,
                bi,
                wo,
                bo,
                start,
            })
        })
        .collect();
    // The first chunk of an expert adds to the gradients themselves, each further one to a sum of its
    // own; those are added afterwards, in order.
    let is_first = |i: usize| i == 0 || chunks[i - 1].expert != chunks[i].expert;
    let size = 2 * width * inner + width + inner;
    let mut partials: Vec<Buffer> = (0..chunks.len())
        .filter(|&i| !is_first(i))
        .map(|_| Buffer::scratch(size))
        .collect();
    let mut further = partials.iter_mut();
    let mut targets: Vec<ExpertGradients<'_>> = Vec::with_capacity(chunks.len());
    for (i, chunk) in chunks.iter().enumerate() {
        let own = by_expert[chunk.expert].take_if(|_| is_first(i));
        let target = own.or_else(|| Some(ExpertGradients::of(further.next()?, experts)));
        targets.extend(target);
    }
    let pass = Backward {
        experts,
        hidden: &kept.hidden,
        sorted: &kept.sorted,
        d_rows: &given.d_rows,
    };
    chunks
        .iter()
        .zip(split_blocks(&mut d_sorted, width, &chunks))
        .zip(&mut targets)
        .for_each_on_threads_by_cost(
            |((chunk, _), _)| chunk.rows,
            |((chunk, d_sorted), target)| pass.chunk(*chunk, d_sorted, target),
        );
    let mut targets = targets.into_iter().enumerate();
    let mut first: Option<ExpertGradients<'_>> = None;
    for (i, target) in &mut targets {
        match &mut first {
            Some(first) if !is_first(i) => first.add(&target),
            first => *first = Some(target),
        }
    }
    by_expert
        .into_iter()
        .flatten()
        .for_each_on_threads(ExpertGradients::finish);
    for (ghost, gradient) in ghosts.iter().zip([d_wi, d_bi, d_wo, d_bo]) {
        ghost.add(gradients, gradient)?;
    }
    Ok(d_sorted)
}

/// Takes the gradients of the parameters out: memory to write to where there are none yet.
fn gradients_so_far(
    ghosts: &[Ghost; 4],
    gradients: &mut Gradients<f32, Cpu>,
) -> Result<(Start<'static>, [Buffer; 4]), CpuError> {
    let mut taken = [(); 4].map(|()| Buffer::scratch(0));
    let mut start = Start::Zero;
    for ghost in ghosts {
        if ghost.is_present(gradients)? {
            start = Start::Own;
        }
    }
    for (taken, ghost) in taken.iter_mut().zip(ghosts) {
        *taken = match start {
            Start::Zero => ghost.scratch(),
            _ => ghost.take(gradients)?,
        };
    }
    Ok((start, taken))
}

/// What all tasks of the backward pass read.
struct Backward<'a> {
    experts: &'a Experts,
    hidden: &'a [f32],
    sorted: &'a [f32],
    d_rows: &'a [f32],
}

impl Backward<'_> {
    fn chunk(&self, chunk: Block, d_sorted: &mut [f32], target: &mut ExpertGradients<'_>) {
        let (width, inner) = (self.experts.width, self.experts.inner);
        let (wi, wo) = (self.experts.wi(chunk.expert), self.experts.wo(chunk.expert));
        let (wi, wo) = (transpose(wi, width, inner), transpose(wo, inner, width));
        let wi = Strided::new(&wi, inner, width);
        let wo = Strided::new(&wo, width, inner);
        if matches!(target.start, Start::Zero) {
            target.bi.fill(0.0);
            target.bo.fill(0.0);
        }
        let mut scratch = Buffer::scratch(ROWS.min(chunk.rows) * inner);
        for (block, d_sorted) in d_sorted.chunks_mut(ROWS * width).enumerate() {
            let (start, rows) = (chunk.start + block * ROWS, d_sorted.len() / width);
            let x = &self.sorted[start * width..][..rows * width];
            let h = &self.hidden[start * inner..][..rows * inner];
            let dy = &self.d_rows[start * width..][..rows * width];
            let d_hidden = &mut scratch[..rows * inner];
            multiply_from(d_hidden, Strided::new(dy, rows, width), wo, Start::Zero);
            relu_gradient(d_hidden, h, target.bi);
            let d_hidden = Strided::new(d_hidden, rows, inner);
            multiply_from(d_sorted, d_hidden, wi, Start::Zero);
            let (x, h) = (Strided::new(x, rows, width), Strided::new(h, rows, inner));
            multiply_from(target.wi, x.transposed(), d_hidden, target.start);
            multiply_from(
                target.wo,
                h.transposed(),
                Strided::new(dy, rows, width),
                target.start,
            );
            add_rows_to(target.bo, dy, 0, width);
            target.start = Start::Own;
        }
    }
}
