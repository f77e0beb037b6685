//! Neural building blocks on dfdx: operations, layers, parameters, id tables, optimizers.
//!
//! Activations are packed: a [`Matrix`] is [N, d] over the real steps of a batch, and [`Offsets`]
//! say which rows belong to which sequence. There is no padding and no mask.
//!
//! # Tapes
//! Tensors carry no tape. Every operation takes `&mut T` where `T` is dfdx's `OwnedTape` (training)
//! or `NoneTape` (inference), adds its backward operation there, and returns plain tensors. The loss
//! meets the tape at the end, in [`ops::backward`]:
//! ```
//! use supermoe_nn::layers::Linear;
//! use supermoe_nn::optim::{AdamW, AdamWConfig, LearningRates};
//! use supermoe_nn::{Cpu, Error, Group, OwnedTape, Parameters, matrix, ops};
//!
//! # fn main() -> Result<(), Error> {
//! let device = Cpu::default();
//! let mut parameters = Parameters::new(device.clone(), 7); // seed
//! let layer = Linear::new(&mut parameters, "tower", Group::Towers, 3, 1)?;
//! let mut optimizer = AdamW::new(AdamWConfig::default());
//! let x = matrix(&device, vec![0.5; 6], 2, 3)?;
//!
//! let mut tape = OwnedTape::default();
//! let scores = layer.forward(&parameters, &x, &mut tape)?;
//! let losses = ops::bce_with_logits(&scores, &[1.0, f32::NAN], &mut tape)?; // `[tasks]`
//! let loss = ops::weighted_sum(&losses, &[1.0], &mut tape)?;
//! let mut gradients = ops::backward(loss, tape)?;
//! let step = optimizer.step(&mut parameters, &mut gradients, &mut [], &LearningRates::all(1e-3))?;
//! assert!(step.gradient_norm > 0.0);
//! # Ok(()) }
//! ```

mod device;
mod error;
mod offsets;
mod tensors;

pub mod layers;
pub mod ops;
pub mod optim;
pub mod parameters;
pub mod precision;
pub mod profile;
pub mod tables;
pub mod threads;

pub use device::{Device, HostAccess};
/// For operations of your own, composed of dfdx's: see [`Tensor::enter`].
pub use dfdx;
#[cfg(feature = "cuda")]
pub use dfdx::tensor::Cuda;
pub use dfdx::tensor::{Cpu, Gradients, NoneTape, OwnedTape, Tape};
pub use error::Error;
pub use offsets::Offsets;
pub use ops::buffers::Buffer;
pub use parameters::{Group, Parameters};
pub use tables::{Table, TableRows};
pub use tensors::{
    Cube, Matrix, Raw, Scalar, Tensor, Vector, cube, matrix, read, read_scalar, vector,
};
