//! The CPU: fused kernels in place of the composed references.

use std::sync::Arc;

use dfdx::shapes::{HasShape, Shape};
use dfdx::tensor::{Cpu, Gradients, Tape, Tensor};

use super::Device;
use crate::ops::{
    self, Activation, DenseInput, MoeOptions, MoeOutput, MoeWeights, Normalized, Qkv,
};
use crate::{Cube, Error, Matrix, Offsets, Scalar, Vector};

impl Device for Cpu {
    fn read<S: Shape>(tensor: &Tensor<S, f32, Self>) -> Vec<f32> {
        let mut values = vec![0.0; tensor.shape().num_elements()];
        tensor.copy_into(&mut values);
        values
    }

    fn take_gradient<S: Shape>(
        gradients: &mut Gradients<f32, Self>,
        tensor: &Tensor<S, f32, Self>,
    ) -> Result<Vec<f32>, Error> {
        Ok(std::mem::take(
            &mut **gradients.get_or_alloc_mut(tensor).map_err(Error::device)?,
        ))
    }

    fn linear<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        weight: &Matrix<Self>,
        bias: Option<&Vector<Self>>,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::linear::fused(x, weight, bias, tape)
    }

    fn layer_norm<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        residual: Option<&Matrix<Self>>,
        scale: &Vector<Self>,
        shift: &Vector<Self>,
        activation: Activation,
        tape: &mut T,
    ) -> Result<Normalized<Self>, Error> {
        ops::layer_norm::fused(x, residual, scale, shift, activation, tape)
    }

    fn lookup<T: Tape<f32, Self>>(
        device: &Self,
        tables: &[&Matrix<Self>],
        codes: &[Arc<[u32]>],
        dense: &DenseInput,
        fill: Option<&Vector<Self>>,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::lookup::fused(device, tables, codes, dense, fill, tape)
    }

    fn attention<T: Tape<f32, Self>>(
        qkv: Qkv<'_, Self>,
        offsets: &Offsets,
        heads: usize,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::attention::fused(qkv, offsets, heads, tape)
    }

    fn moe_ffn<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        weights: MoeWeights<'_, Self>,
        options: &MoeOptions,
        tape: &mut T,
    ) -> Result<MoeOutput<Self>, Error> {
        ops::moe_ffn::fused(x, weights, options, tape)
    }

    fn moe_linear<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        gate: &Matrix<Self>,
        weight: &Cube<Self>,
        options: &MoeOptions,
        tape: &mut T,
    ) -> Result<MoeOutput<Self>, Error> {
        ops::moe_linear::fused(x, gate, weight, options, tape)
    }

    fn segment_max<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        offsets: &Offsets,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::segment_max::fused(x, offsets, tape)
    }

    fn gather_rows<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        rows: &Arc<[u32]>,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::gather_rows::fused(x, rows, tape)
    }

    fn add<T: Tape<f32, Self>>(
        a: &Matrix<Self>,
        b: &Matrix<Self>,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::add::fused(a, b, tape)
    }

    fn dropout<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        rate: f32,
        key: u64,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::dropout::fused(x, rate, key, tape)
    }

    fn cross_entropy<T: Tape<f32, Self>>(
        logits: &Matrix<Self>,
        targets: &[u32],
        tape: &mut T,
    ) -> Result<Scalar<Self>, Error> {
        ops::cross_entropy::fused(logits, targets, tape)
    }
}
