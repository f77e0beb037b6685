//! Where tensors live: dfdx's device together with this crate's operations.
//!
//! Every operation has a reference composed of dfdx's own operations and a fused CPU kernel, both in
//! its file under [`crate::ops`]. `Cpu` runs the kernels; `Cuda` (feature `cuda`) the references.

mod cpu;

use std::sync::Arc;

use dfdx::shapes::{HasShape, Shape};
use dfdx::tensor::{Cpu, Gradients, Tape, Tensor};

use crate::ops::{
    self, Activation, Candidates, DenseInput, MoeOptions, MoeOutput, MoeWeights, Normalized, Qkv,
};
use crate::{Cube, Error, Matrix, Offsets, Scalar, Vector};

/// Makes the trait's method for each operation: by default `composed` of the module of its name.
/// For `Cpu` it is `fused` of that module.
macro_rules! operations {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $output:ty;)*) => {
        /// A device that runs this crate's operations. Call them through [`crate::ops`], which checks
        /// shapes and says what each does.
        pub trait Device: HostAccess {
            $(
                #[doc(hidden)]
                fn $name<T: Tape<f32, Self>>(
                    $($argument: $kind,)*
                    tape: &mut T,
                ) -> Result<$output, Error> {
                    ops::$name::composed($($argument,)* tape)
                }
            )*
        }

        impl Device for Cpu {
            $(
                fn $name<T: Tape<f32, Self>>(
                    $($argument: $kind,)*
                    tape: &mut T,
                ) -> Result<$output, Error> {
                    ops::$name::fused($($argument,)* tape)
                }
            )*
        }

        #[cfg(feature = "cuda")]
        impl Device for dfdx::tensor::Cuda {}
    };
}

operations! {
    linear(x: &Matrix<Self>, weight: &Matrix<Self>, bias: Option<&Vector<Self>>) -> Matrix<Self>;
    layer_norm(x: &Matrix<Self>, residual: Option<&Matrix<Self>>, scale: &Vector<Self>, shift: &Vector<Self>, activation: Activation) -> Normalized<Self>;
    lookup(device: &Self, tables: &[&Matrix<Self>], codes: &[Arc<[u32]>], dense: &DenseInput, fill: Option<&Vector<Self>>) -> Matrix<Self>;
    attention(qkv: Qkv<'_, Self>, offsets: &Offsets, heads: usize) -> Matrix<Self>;
    moe_ffn(x: &Matrix<Self>, weights: MoeWeights<'_, Self>, options: &MoeOptions) -> MoeOutput<Self>;
    moe_linear(x: &Matrix<Self>, gate: &Matrix<Self>, weight: &Cube<Self>, options: &MoeOptions) -> MoeOutput<Self>;
    segment_max(x: &Matrix<Self>, offsets: &Offsets) -> Matrix<Self>;
    gather_rows(x: &Matrix<Self>, rows: &Arc<[u32]>) -> Matrix<Self>;
    add(a: &Matrix<Self>, b: &Matrix<Self>) -> Matrix<Self>;
    dropout(x: &Matrix<Self>, rate: f32, key: u64) -> Matrix<Self>;
    cross_entropy(logits: &Matrix<Self>, targets: &[u32]) -> Scalar<Self>;
    sampled_softmax(x: &Matrix<Self>, classes: &Matrix<Self>, candidates: &Candidates) -> Scalar<Self>;
}

/// The way between a device and host memory.
pub trait HostAccess: dfdx::tensor_ops::Device<f32> {
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
}

#[cfg(feature = "cuda")]
impl HostAccess for dfdx::tensor::Cuda {}
