//! What mixtures of experts share: gate, dispatch, combination and their gradients, whatever an expert is.

use dfdx::shapes::Axis;
use dfdx::tensor::{Cpu, CpuError, Gradients, SplitTape, Tape};
use dfdx::tensor_ops::{
    BroadcastTo, LogSumExpTo, ReshapeTo, SelectTo, SumTo, TryAdd, TryDiv, TryMatMul, TryMul,
};

use super::buffers::Buffer;
use super::gate::{Gate, MoeOptions};
use super::products::{self, Start, Strided, StridedMut, multiply};
use super::routing::{Block, Routing, chosen_mask};
use super::taped;
use crate::tensors::{Raw, raw, tensor};
use crate::threads::OnThreads;
use crate::{Device, Error, Matrix, Scalar};

/// Result of a mixture.
pub struct MoeOutput<D: Device> {
    /// [N, d].
    pub y: Matrix<D>,
    /// Load-balance loss E * sum_e f_e P_e (Switch, Fedus et al. 2021, eq. 4), 1 when balanced.
    pub balance: Scalar<D>,
    /// Router z-loss, the mean of logsumexp(logits)^2.
    pub z: Scalar<D>,
    /// Choices by expert before any is dropped, `[E]`; they add up to N * top_k.
    pub counts: Vec<u32>,
    /// Choices over capacity.
    pub dropped: u32,
}

/// The gate, its losses and the weighted sum over `expert(x, e, tape)`, of dfdx operations.
pub(crate) fn composed_mixture<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    gate: &Matrix<D>,
    options: &MoeOptions,
    tape: &mut T,
    expert: impl Fn(&Matrix<D>, usize, &mut T) -> Result<Matrix<D>, Error>,
) -> Result<MoeOutput<D>, Error> {
    let (tokens, experts) = (x.shape().0, gate.shape().1);
    let device = x.device();
    let gate = gate.enter(tape)?;
    let mut seen = taped(&x.enter(tape)?, tape);
    if let Some(jitter) = options.jitter {
        let mut factors = vec![1.0; tokens * x.shape().1];
        jitter.apply(&mut factors);
        let factors = raw(device, factors, *x.shape())?;
        seen = seen.try_mul(factors).map_err(Error::device)?;
    }
    let (logits, rest) = seen.try_matmul(gate).map_err(Error::device)?.split_tape();
    *tape = rest;
    let (p, rest) = taped(&logits, tape)
        .try_softmax::<Axis<1>>()
        .map_err(Error::device)?
        .split_tape();
    *tape = rest;
    // The choice is made in host memory; it has no gradient.
    let host = Gate::of_probabilities(p.as_vec().into(), experts);
    let (chosen, served, routing) = chosen_mask(&host, options);
    let chosen = raw(device, chosen, (tokens, experts))?;
    let mut share = taped(&p, tape).try_mul(chosen).map_err(Error::device)?;
    if options.top_k > 1 {
        let (kept, rest) = share.split_tape();
        *tape = rest;
        let total = taped(&kept, tape)
            .try_sum::<(usize,), Axis<1>>()
            .and_then(|total| total.try_broadcast_like::<_, Axis<1>>(&(tokens, experts)))
            .map_err(Error::device)?;
        let (total, rest) = total.split_tape();
        *tape = rest;
        share = taped(&kept, tape).try_div(total).map_err(Error::device)?;
    }
    let served = raw(device, served, (tokens, experts))?;
    let (share, rest) = share.try_mul(served).map_err(Error::device)?.split_tape();
    *tape = rest;
    let mut y: Option<Raw<(usize, usize), D>> = None;
    for e in 0..experts {
        let out = expert(x, e, tape)?;
        let shape = *out.shape();
        let out = out.enter(tape)?;
        let column = super::gather_rows::index_tensor(device, vec![e; tokens])?;
        let weight = taped(&share, tape)
            .try_select::<(usize,), (usize,)>(column)
            .and_then(|weight| weight.try_broadcast_like::<_, Axis<1>>(&shape))
            .map_err(Error::device)?;
        let (weight, rest) = weight.split_tape();
        *tape = rest;
        let mut sum = taped(&out, tape).try_mul(weight).map_err(Error::device)?;
        if let Some(before) = y {
            sum = sum.try_add(before).map_err(Error::device)?;
        }
        let (sum, rest) = sum.split_tape();
        *tape = rest;
        y = Some(sum);
    }
    let y = match y {
        Some(y) => Matrix::leave(taped(&y, tape), tape)?,
        None => return Err(Error::value("mixture", "experts", "at least 1", 0)),
    };
    let scale = experts as f64 / tokens.max(1) as f64;
    let shares = routing
        .shares()
        .iter()
        .map(|share| (share * scale) as f32)
        .collect();
    let shares = raw(device, shares, (experts,))?;
    let balance = taped(&p, tape)
        .try_sum::<(usize,), Axis<0>>()
        .and_then(|means| means.try_mul(shares))
        .and_then(|means| means.try_sum::<(), Axis<0>>())
        .map_err(Error::device)?;
    let balance = Scalar::leave(balance, tape)?;
    let z = taped(&logits, tape)
        .try_logsumexp::<(usize,), Axis<1>>()
        .and_then(|z| z.try_square())
        .and_then(|z| z.try_sum::<(), Axis<0>>())
        .and_then(|z| z.try_mul(1.0 / tokens.max(1) as f32))
        .and_then(|z| z.try_reshape_like(&()))
        .map_err(Error::device)?;
    let z = Scalar::leave(z, tape)?;
    Ok(MoeOutput {
        y,
        balance,
        z,
        dropped: routing.dropped(),
        counts: routing.counts,
    })
}

/// What the experts' part of a backward pass gets.
pub(crate) struct ExpertsBackward<'a> {
    pub(crate) routing: &'a Routing,
    /// Gradient of the experts' outputs, [R, outputs]; already times the weight.
    pub(crate) d_rows: Buffer,
}

/// Gate, dispatch and combination for any kind of expert on the CPU. `forward(routing, x)` gives the
/// experts' outputs [R, outputs] by served row and, where there is a tape, a state; `backward` turns their gradient into that of their
/// inputs by served row, [R, d], and adds those of its own parameters.
pub(crate) fn fused_mixture<T: Tape<f32, Cpu>, State: 'static>(
    x: &Matrix<Cpu>,
    gate_weight: &Matrix<Cpu>,
    outputs: usize,
    options: &MoeOptions,
    tape: &mut T,
    forward: impl FnOnce(&Routing, &[f32]) -> (Buffer, Option<State>),
    backward: impl FnOnce(
        ExpertsBackward<'_>,
        State,
        &mut Gradients<f32, Cpu>,
    ) -> Result<Buffer, CpuError>
    + 'static,
) -> Result<MoeOutput<Cpu>, Error> {
    let ((tokens, width), experts) = (*x.shape(), gate_weight.shape().1);
    let jitter = options.jitter;
    let jittered = jitter.map(|jitter| {
        let mut values = Buffer::of(x);
        jitter.apply(&mut values);
        values
    });
    let seen = jittered.as_deref().unwrap_or(x.values());
    let gate = Gate::new(seen, gate_weight.values(), tokens, experts);
    let routing = Routing::new(&gate, options);
    let (rows, state) = forward(&routing, x.values());
    let device = x.device();
    let y = tensor(
        device,
        routing.combine(&rows, outputs, tokens),
        (tokens, outputs),
    )?;
    let shares = routing.shares();
    let balance: f64 = gate
        .mean_probabilities()
        .iter()
        .zip(&shares)
        .map(|(p, f)| p * f)
        .sum();
    let balance = tensor(device, vec![(balance * experts as f64) as f32], ())?;
    let z = tensor(device, vec![gate.z_loss()], ())?;
    let (counts, dropped) = (routing.counts.clone(), routing.dropped());
    if let Some(state) = state {
        let (y_ghost, balance_ghost, z_ghost) = (y.ghost(), balance.ghost(), z.ghost());
        let (x_ghost, gate_ghost) = (x.ghost(), gate_weight.ghost());
        let (x, gate_values) = (x.share(), gate_weight.share());
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            let balance_slope = balance_ghost.gradient(gradients)?[0];
            let z_slope = z_ghost.gradient(gradients)?[0];
            let (d_rows, d_weights) = routing.combine_backward(&dy, &rows, outputs);
            let scale = f64::from(balance_slope) * experts as f64 / tokens.max(1) as f64;
            let d_balance: Vec<f32> = shares.iter().map(|f| (f * scale) as f32).collect();
            let d_gate = gate.logit_gradients(z_slope, |token, d_row| {
                d_row.copy_from_slice(&d_balance);
                routing.add_weight_gradients(token, d_row, &d_weights, &gate);
            });
            let d_sorted = backward(
                ExpertsBackward {
                    routing: &routing,
                    d_rows,
                },
                state,
                gradients,
            )?;
            let d_gate_weight = gate_ghost.gradient(gradients)?;
            let seen = jittered.as_deref().unwrap_or(&x);
            products::add_transposed_product(d_gate_weight, seen, &d_gate, tokens);
            let mut dx = Buffer::scratch(tokens * width);
            products::multiply_rows(
                &mut dx,
                Strided::new(&d_gate, tokens, experts),
                Strided::new(&gate_values, width, experts).transposed(),
                Start::Zero,
            );
            if let Some(jitter) = jitter {
                jitter.apply(&mut dx);
            }
            routing.add_back(&mut dx, &d_sorted, width);
            x_ghost.add(gradients, dx)
        });
    }
    Ok(MoeOutput {
        y,
        balance,
        z,
        counts,
        dropped,
    })
}

/// Of a buffer that is kept, the blocks' parts; `None` for each where none is.
pub(crate) fn kept_blocks<'a>(
    kept: Option<&'a mut Buffer>,
    width: usize,
    blocks: &[Block],
) -> Vec<Option<&'a mut [f32]>> {
    match kept {
        Some(values) => split_blocks(values, width, blocks)
            .into_iter()
            .map(Some)
            .collect(),
        None => blocks.iter().map(|_| None).collect(),
    }
}

/// A block's part of what is kept, or memory of its task, which `own` then holds.
pub(crate) fn kept_or_own<'a>(
    kept: Option<&'a mut [f32]>,
    own: &'a mut Option<Buffer>,
    length: usize,
) -> &'a mut [f32] {
    match kept {
        Some(kept) => kept,
        None => own.insert(Buffer::scratch(length)),
    }
}

/// Splits a buffer of rows into the blocks' parts.
pub(crate) fn split_blocks<'a>(
    mut values: &'a mut [f32],
    width: usize,
    blocks: &[Block],
) -> Vec<&'a mut [f32]> {
    let mut parts = Vec::with_capacity(blocks.len());
    for block in blocks {
        let (part, rest) = values.split_at_mut(block.rows * width);
        parts.push(part);
        values = rest;
    }
    parts
}

/// Weight gradients of all experts: `out[e] += x_e^T y_e` for x [R, a], y [R, b], out [E, a, b].
pub(crate) fn add_expert_products(
    out: &mut [f32],
    x: &[f32],
    y: &[f32],
    sizes: (usize, usize),
    starts: &[usize],
) {
    let (a, b) = sizes;
    let block = a.div_ceil(4).clamp(16, 128);
    let mut tasks = Vec::new();
    for (expert, out) in out.chunks_exact_mut(a * b).enumerate() {
        if starts[expert] < starts[expert + 1] {
            tasks.extend(
                out.chunks_mut(block * b)
                    .enumerate()
                    .map(|(i, out)| (expert, i * block, out)),
            );
        }
    }
    tasks
        .into_iter()
        .for_each_on_threads(|(expert, column, out)| {
            let (start, end) = (starts[expert], starts[expert + 1]);
            let columns = out.len() / b;
            let x = Strided::with_stride(&x[start * a + column..end * a], end - start, columns, a);
            let y = Strided::new(&y[start * b..end * b], end - start, b);
            multiply(StridedMut::new(out, columns, b), x.transposed(), y, true);
        });
}
