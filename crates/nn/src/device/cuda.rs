//! Tensors on a GPU are dfdx's own.

use dfdx::shapes::Shape;
use dfdx::tensor::{Cuda, Gradients, OwnedTape, PutTape, Tape};
use dfdx::tensor_ops::Backward;

use super::HostAccess;
use crate::ops::buffers::Buffer;
use crate::tensors::{Raw, Tensor, raw, sizes};
use crate::{Error, Scalar};

impl HostAccess for Cuda {
    type Place<S: Shape> = Raw<S, Cuda>;

    fn place<S: Shape>(&self, values: Buffer, shape: S) -> Result<Raw<S, Cuda>, Error> {
        raw(self, values.to_vec(), shape)
    }

    fn device_of<S: Shape>(place: &Raw<S, Cuda>) -> &Self {
        place.device()
    }

    fn enter<S: Shape, T: Tape<f32, Self>>(
        tensor: &Tensor<S, Self>,
        _: &mut T,
    ) -> Result<Raw<S, Self>, Error> {
        Ok(tensor.place.clone())
    }

    fn leave<S: Shape, T: Tape<f32, Self>>(
        raw: Raw<S, Self>,
        _: &mut T,
    ) -> Result<Tensor<S, Self>, Error> {
        Ok(Tensor {
            shape: sizes(&raw),
            place: raw,
        })
    }

    fn read<S: Shape>(tensor: &Tensor<S, Self>) -> Vec<f32> {
        tensor.place.as_vec()
    }

    fn update<S: Shape>(tensor: &mut Tensor<S, Self>, change: impl FnOnce(&mut [f32])) {
        let mut values = tensor.place.as_vec();
        change(&mut values);
        tensor.place.copy_from(&values);
    }

    fn take_gradient<S: Shape>(
        gradients: &mut Gradients<f32, Self>,
        tensor: &Tensor<S, Self>,
    ) -> Result<Buffer, Error> {
        let tensor = &tensor.place;
        gradients.get_or_alloc_mut(tensor).map_err(Error::device)?;
        Ok(gradients.get(tensor).as_vec().into())
    }

    fn backward(
        loss: Scalar<Self>,
        tape: OwnedTape<f32, Self>,
    ) -> Result<Gradients<f32, Self>, Error> {
        loss.place
            .put_tape(tape)
            .try_backward()
            .map_err(Error::device)
    }
}
