//! Where tensors live: dfdx's device together with this crate's fused operations.
//!
//! Every operation has a default: its reference composed of dfdx's own operations. `Cpu` replaces
//! them by fused kernels; `Cuda` (feature `cuda`) runs the references.

mod cpu;

use std::sync::Arc;

use dfdx::shapes::HasShape;
use dfdx::shapes::Shape;
use dfdx::tensor::{Gradients, Tape, Tensor};

use crate::ops::{
    self, Activation, DenseInput, MoeOptions, MoeOutput, MoeWeights, Normalized, Qkv,
};
use crate::{Cube, Error, Matrix, Offsets, Vector};

/// A device that runs this crate's operations. Call them through [`crate::ops`], which checks shapes.
pub trait Device: dfdx::tensor_ops::Device<f32> {
    /// The values of a tensor in host memory, row-major.
    fn read<S: Shape>(tensor: &Tensor<S, f32, Self>) -> Vec<f32> {
        tensor.as_vec()
    }

    /// Changes the values of a tensor in place; `scratch` is kept by the caller for the next call.
    fn update<S: Shape>(
        tensor: &mut Tensor<S, f32, Self>,
        scratch: &mut Vec<f32>,
        change: impl FnOnce(&mut [f32]),
    ) {
        let length = tensor.shape().num_elements();
        if scratch.len() < length {
            scratch.resize(length, 0.0);
        }
        let values = &mut scratch[..length];
        tensor.copy_into(values);
        change(values);
        tensor.copy_from(values);
    }

    /// Takes the gradient of a leaf tensor out of `gradients`; zeros where the loss does not depend on it.
    fn take_gradient<S: Shape>(
        gradients: &mut Gradients<f32, Self>,
        tensor: &Tensor<S, f32, Self>,
    ) -> Result<Vec<f32>, Error> {
        gradients.get_or_alloc_mut(tensor).map_err(Error::device)?;
        Ok(gradients.get(tensor).as_vec())
    }

    /// See [`ops::linear`].
    fn linear<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        weight: &Matrix<Self>,
        bias: Option<&Vector<Self>>,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::linear::composed(x, weight, bias, tape)
    }

    /// See [`ops::layer_norm`].
    fn layer_norm<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        residual: Option<&Matrix<Self>>,
        scale: &Vector<Self>,
        shift: &Vector<Self>,
        activation: Activation,
        tape: &mut T,
    ) -> Result<Normalized<Self>, Error> {
        ops::layer_norm::composed(x, residual, scale, shift, activation, tape)
    }

    /// See [`ops::lookup`].
    fn lookup<T: Tape<f32, Self>>(
        device: &Self,
        tables: &[&Matrix<Self>],
        codes: &[Arc<[u32]>],
        dense: &DenseInput,
        fill: Option<&Vector<Self>>,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::lookup::composed(device, tables, codes, dense, fill, tape)
    }

    /// See [`ops::attention`].
    fn attention<T: Tape<f32, Self>>(
        qkv: Qkv<'_, Self>,
        offsets: &Offsets,
        heads: usize,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::attention::composed(qkv, offsets, heads, tape)
    }

    /// See [`ops::moe_ffn`].
    fn moe_ffn<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        weights: MoeWeights<'_, Self>,
        options: &MoeOptions,
        tape: &mut T,
    ) -> Result<MoeOutput<Self>, Error> {
        ops::moe_ffn::composed(x, weights, options, tape)
    }

    /// See [`ops::moe_linear`].
    fn moe_linear<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        gate: &Matrix<Self>,
        weight: &Cube<Self>,
        options: &MoeOptions,
        tape: &mut T,
    ) -> Result<MoeOutput<Self>, Error> {
        ops::moe_linear::composed(x, gate, weight, options, tape)
    }

    /// See [`ops::segment_max`].
    fn segment_max<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        offsets: &Offsets,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::segment_max::composed(x, offsets, tape)
    }

    /// See [`ops::gather_rows`].
    fn gather_rows<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        rows: &Arc<[u32]>,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::gather_rows::composed(x, rows, tape)
    }

    /// See [`ops::add`].
    fn add<T: Tape<f32, Self>>(
        a: &Matrix<Self>,
        b: &Matrix<Self>,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::add::composed(a, b, tape)
    }

    /// See [`ops::dropout`].
    fn dropout<T: Tape<f32, Self>>(
        x: &Matrix<Self>,
        rate: f32,
        key: u64,
        tape: &mut T,
    ) -> Result<Matrix<Self>, Error> {
        ops::dropout::composed(x, rate, key, tape)
    }

    /// See [`ops::cross_entropy`].
    fn cross_entropy<T: Tape<f32, Self>>(
        logits: &Matrix<Self>,
        targets: &[u32],
        tape: &mut T,
    ) -> Result<crate::Scalar<Self>, Error> {
        ops::cross_entropy::composed(logits, targets, tape)
    }
}

#[cfg(feature = "cuda")]
impl Device for dfdx::tensor::Cuda {}
