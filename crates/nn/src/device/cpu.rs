//! Tensors on the CPU: values in shared buffers; dfdx keeps their identities, the tape, and the gradients.

use std::sync::Arc;

use dfdx::shapes::Shape;
use dfdx::tensor::{Cpu, CpuError, Gradients, OwnedTape, PutTape, Tape, ZerosTensor};
use dfdx::tensor_ops::Backward;

use super::HostAccess;
use crate::ops::buffers::Buffer;
use crate::tensors::{Raw, Tensor, raw};
use crate::{Error, Scalar};

/// Values, and a number of dfdx's whose identity stands for them on the tape.
#[derive(Clone)]
pub struct Shared {
    identity: Raw<(), Cpu>,
    values: Arc<Buffer>,
}

/// The identity of a tensor, for its gradient.
pub(crate) struct Ghost {
    identity: Raw<(), Cpu>,
    length: usize,
}

impl<S: Shape> Tensor<S, Cpu> {
    /// Row-major.
    pub(crate) fn values(&self) -> &[f32] {
        &self.place.values
    }

    /// The values, to be kept by a backward operation.
    pub(crate) fn share(&self) -> Arc<Buffer> {
        self.place.values.clone()
    }

    pub(crate) fn ghost(&self) -> Ghost {
        Ghost {
            identity: self.place.identity.clone(),
            length: self.place.values.len(),
        }
    }
}

impl Ghost {
    /// The gradient so far; zeros at first.
    pub(crate) fn gradient<'a>(
        &self,
        gradients: &'a mut Gradients<f32, Cpu>,
    ) -> Result<&'a mut [f32], CpuError> {
        let memory = &mut **gradients.get_or_alloc_mut(&self.identity)?;
        if memory.len() < self.length {
            *memory = Buffer::zeros(self.length).into_memory();
        }
        Ok(&mut memory[..self.length])
    }

    /// Whether there is a gradient yet.
    pub(crate) fn is_present(&self, gradients: &mut Gradients<f32, Cpu>) -> Result<bool, CpuError> {
        let memory = &**gradients.get_or_alloc_mut(&self.identity)?;
        Ok(memory.len() >= self.length)
    }

    /// Memory for a gradient, with contents that mean nothing.
    pub(crate) fn scratch(&self) -> Buffer {
        Buffer::scratch(self.length)
    }

    /// Moves the gradient out; zeros if there is none.
    pub(crate) fn take(&self, gradients: &mut Gradients<f32, Cpu>) -> Result<Buffer, CpuError> {
        self.gradient(gradients)?;
        let memory = std::mem::take(&mut **gradients.get_or_alloc_mut(&self.identity)?);
        Ok(Buffer::from_memory(memory, self.length))
    }

    /// Adds to the gradient; the first addend becomes it, without a copy.
    pub(crate) fn add(
        &self,
        gradients: &mut Gradients<f32, Cpu>,
        addend: Buffer,
    ) -> Result<(), CpuError> {
        debug_assert_eq!(addend.len(), self.length);
        let memory = &mut **gradients.get_or_alloc_mut(&self.identity)?;
        if memory.len() < self.length {
            *memory = addend.into_memory();
        } else {
            crate::ops::add::add_parallel(&mut memory[..self.length], &addend);
        }
        Ok(())
    }
}

impl HostAccess for Cpu {
    type Place<S: Shape> = Shared;

    fn place<S: Shape>(&self, values: Buffer, _: S) -> Result<Shared, Error> {
        Ok(Shared {
            identity: self.try_zeros().map_err(Error::device)?,
            values: Arc::new(values),
        })
    }

    fn device_of<S: Shape>(place: &Shared) -> &Self {
        place.identity.device()
    }

    fn enter<S: Shape, T: Tape<f32, Self>>(
        tensor: &Tensor<S, Self>,
        tape: &mut T,
    ) -> Result<Raw<S, Self>, Error> {
        let inner = raw(tensor.device(), tensor.values().to_vec(), tensor.shape)?;
        if T::OWNS_TAPE {
            let (ghost, of_inner) = (tensor.ghost(), inner.ghost());
            tape.add_backward_op(move |gradients| {
                let gradient = std::mem::take(&mut **gradients.get_or_alloc_mut(&of_inner)?);
                ghost.add(gradients, gradient.into())
            });
        }
        Ok(inner)
    }

    fn leave<S: Shape, T: Tape<f32, Self>>(
        inner: Raw<S, Self>,
        tape: &mut T,
    ) -> Result<Tensor<S, Self>, Error> {
        let shape = crate::tensors::sizes(&inner);
        let tensor = crate::tensors::tensor(inner.device(), inner.as_vec(), shape)?;
        if T::OWNS_TAPE {
            let (ghost, of_inner) = (tensor.ghost(), inner.ghost());
            tape.add_backward_op(move |gradients| {
                let gradient = ghost.take(gradients)?;
                let to = &mut **gradients.get_or_alloc_mut(&of_inner)?;
                crate::ops::add::add_parallel(to, &gradient);
                Ok(())
            });
        }
        Ok(tensor)
    }

    fn read<S: Shape>(tensor: &Tensor<S, Self>) -> Vec<f32> {
        tensor.values().to_vec()
    }

    fn update<S: Shape>(tensor: &mut Tensor<S, Self>, change: impl FnOnce(&mut [f32])) {
        change(&mut *Arc::make_mut(&mut tensor.place.values));
    }

    fn take_gradient<S: Shape>(
        gradients: &mut Gradients<f32, Self>,
        tensor: &Tensor<S, Self>,
    ) -> Result<Buffer, Error> {
        tensor.ghost().take(gradients).map_err(Error::device)
    }

    fn backward(
        loss: Scalar<Self>,
        tape: OwnedTape<f32, Self>,
    ) -> Result<Gradients<f32, Self>, Error> {
        let identity = loss.place.identity.put_tape(tape);
        identity.try_backward().map_err(Error::device)
    }
}
