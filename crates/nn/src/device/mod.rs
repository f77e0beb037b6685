//! Where tensors live: dfdx's device together with this crate's operations.
//!
//! Every operation has a reference composed of dfdx's own operations and a fused CPU kernel, both in
//! its file under [`crate::ops`]. `Cpu` runs the kernels; `Cuda` (feature `cuda`) the references.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

pub(crate) use cpu::Ghost;

use std::sync::Arc;

use dfdx::shapes::Shape;
use dfdx::tensor::{Cpu, Gradients, OwnedTape, Tape};

use crate::ops::buffers::Buffer;

use crate::ops::{
    self, Activation, Candidates, DenseInput, MoeOptions, MoeOutput, MoeWeights, Normalized, Qkv,
};
use crate::profile;
use crate::tensors::{Raw, Tensor};
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
                    profile::measured(stringify!($name), tape, |tape| {
                        ops::$name::composed($($argument,)* tape)
                    })
                }
            )*
        }

        impl Device for Cpu {
            $(
                fn $name<T: Tape<f32, Self>>(
                    $($argument: $kind,)*
                    tape: &mut T,
                ) -> Result<$output, Error> {
                    profile::measured(stringify!($name), tape, |tape| {
                        ops::$name::fused($($argument,)* tape)
                    })
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
    add_rows(x: &Matrix<Self>, y: &Matrix<Self>, rows: &Arc<[u32]>) -> Matrix<Self>;
    segment_mean(x: &Matrix<Self>, offsets: &Offsets) -> Matrix<Self>;
    join_columns(parts: &[&Matrix<Self>]) -> Matrix<Self>;
    relu(x: &Matrix<Self>) -> Matrix<Self>;
    gated_sum(logits: &Matrix<Self>, experts: &[&Matrix<Self>]) -> Matrix<Self>;
    info_nce(a: &Matrix<Self>, b: &Matrix<Self>, temperature: f32) -> Scalar<Self>;
    dropout(x: &Matrix<Self>, rate: f32, key: u64) -> Matrix<Self>;
    cross_entropy(logits: &Matrix<Self>, targets: &[u32]) -> Scalar<Self>;
    sampled_softmax(x: &Matrix<Self>, classes: &Matrix<Self>, candidates: &Candidates) -> Scalar<Self>;
}

/// How a device holds values, and the ways between it, host memory and dfdx's own tensors.
pub trait HostAccess: dfdx::tensor_ops::Device<f32> {
    /// Values of a shape, with their identity on the tape.
    #[doc(hidden)]
    type Place<S: Shape>: Clone + 'static;

    #[doc(hidden)]
    fn place<S: Shape>(&self, values: Buffer, shape: S) -> Result<Self::Place<S>, Error>;

    #[doc(hidden)]
    fn device_of<S: Shape>(place: &Self::Place<S>) -> &Self;

    #[doc(hidden)]
    fn enter<S: Shape, T: Tape<f32, Self>>(
        tensor: &Tensor<S, Self>,
        tape: &mut T,
    ) -> Result<Raw<S, Self>, Error>;

    #[doc(hidden)]
    fn leave<S: Shape, T: Tape<f32, Self>>(
        raw: Raw<S, Self>,
        tape: &mut T,
    ) -> Result<Tensor<S, Self>, Error>;

    /// The values of a tensor in host memory, row-major.
    fn read<S: Shape>(tensor: &Tensor<S, Self>) -> Vec<f32>;

    /// Changes the values of a tensor in place.
    fn update<S: Shape>(tensor: &mut Tensor<S, Self>, change: impl FnOnce(&mut [f32]));

    /// Takes the gradient of a leaf tensor out of `gradients`; zeros where the loss does not depend on it.
    fn take_gradient<S: Shape>(
        gradients: &mut Gradients<f32, Self>,
        tensor: &Tensor<S, Self>,
    ) -> Result<Buffer, Error>;

    /// Runs the tape backwards.
    #[doc(hidden)]
    fn backward(
        loss: Scalar<Self>,
        tape: OwnedTape<f32, Self>,
    ) -> Result<Gradients<f32, Self>, Error>;
}
