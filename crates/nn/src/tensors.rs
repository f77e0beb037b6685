//! Tensors with sizes at run time and no tape inside, and their border to host memory and to dfdx.

use dfdx::shapes::{HasShape, Shape};
use dfdx::tensor::Tape;

use crate::ops::buffers::Buffer;
use crate::{Device, Error, HostAccess};

/// dfdx's tensor without a tape.
pub type Raw<S, D> = dfdx::tensor::Tensor<S, f32, D>;

/// Values of a shape on a device, row-major, with an identity on the tape. Clones share both.
///
/// On the CPU the values stand in a buffer that operations read without a copy and that is used again
/// when its last tensor is gone; on a GPU they are dfdx's.
pub struct Tensor<S: Shape, D: HostAccess> {
    pub(crate) shape: S,
    pub(crate) place: D::Place<S>,
}

impl<S: Shape, D: HostAccess> Clone for Tensor<S, D> {
    fn clone(&self) -> Self {
        Self {
            shape: self.shape,
            place: self.place.clone(),
        }
    }
}

impl<S: Shape, D: HostAccess> Tensor<S, D> {
    /// Its sizes.
    pub fn shape(&self) -> &S {
        &self.shape
    }

    /// Where it lives.
    pub fn device(&self) -> &D {
        D::device_of(&self.place)
    }

    /// The same values as dfdx's tensor, for an operation that is composed of dfdx's; gradients find their way
    /// back. What else enters the operation has to enter before dfdx is given the tape.
    ///
    /// # Errors
    /// What the device says.
    pub fn enter<T: Tape<f32, D>>(&self, tape: &mut T) -> Result<Raw<S, D>, Error> {
        D::enter(self, tape)
    }

    /// The values of dfdx's tensor, with its tape; gradients find their way back.
    ///
    /// # Errors
    /// What the device says.
    pub fn leave<T: Tape<f32, D>>(
        raw: dfdx::tensor::Tensor<S, f32, D, T>,
        tape: &mut T,
    ) -> Result<Self, Error> {
        let (raw, rest) = dfdx::tensor::SplitTape::split_tape(raw);
        *tape = rest;
        D::leave(raw, tape)
    }
}

/// [rows, columns].
pub type Matrix<D> = Tensor<(usize, usize), D>;
/// `[length]`.
pub type Vector<D> = Tensor<(usize,), D>;
/// [experts, rows, columns].
pub type Cube<D> = Tensor<(usize, usize, usize), D>;
/// One number.
pub type Scalar<D> = Tensor<(), D>;

/// A matrix from row-major values. Errors if the number of values is not rows * columns.
pub fn matrix<D: Device>(
    device: &D,
    values: Vec<f32>,
    rows: usize,
    columns: usize,
) -> Result<Matrix<D>, Error> {
    tensor(device, values, (rows, columns))
}

/// A vector. Errors only if the device fails.
pub fn vector<D: Device>(device: &D, values: Vec<f32>) -> Result<Vector<D>, Error> {
    let length = values.len();
    tensor(device, values, (length,))
}

/// A stack of matrices from row-major values. Errors if the number of values does not fit `shape`.
pub fn cube<D: Device>(
    device: &D,
    values: Vec<f32>,
    shape: (usize, usize, usize),
) -> Result<Cube<D>, Error> {
    tensor(device, values, shape)
}

pub(crate) fn tensor<S: Shape, D: HostAccess>(
    device: &D,
    values: impl Into<Buffer>,
    shape: S,
) -> Result<Tensor<S, D>, Error> {
    let values = values.into();
    check_count(values.len(), &shape)?;
    let place = D::place(device, values, shape)?;
    Ok(Tensor { shape, place })
}

/// A constant for dfdx's operations.
pub(crate) fn raw<S: Shape, D: HostAccess>(
    device: &D,
    values: Vec<f32>,
    shape: S,
) -> Result<Raw<S, D>, Error> {
    check_count(values.len(), &shape)?;
    device
        .try_tensor_from_vec(values, shape)
        .map_err(Error::device)
}

fn check_count<S: Shape>(found: usize, shape: &S) -> Result<(), Error> {
    if found == shape.num_elements() {
        return Ok(());
    }
    let expected = shape.num_elements().to_string();
    Err(Error::value("tensor", "number of values", expected, found))
}

/// The values of a tensor in host memory, row-major.
pub fn read<S: Shape, D: HostAccess>(tensor: &Tensor<S, D>) -> Vec<f32> {
    D::read(tensor)
}

/// The value of a scalar.
pub fn read_scalar<D: HostAccess>(tensor: &Scalar<D>) -> f32 {
    D::read(tensor)[0]
}

/// An index as a tensor.
pub(crate) fn index<D: Device>(
    device: &D,
    index: usize,
) -> Result<dfdx::tensor::Tensor<(), usize, D>, Error> {
    dfdx::tensor::TensorFromVec::<usize>::try_tensor_from_vec(device, vec![index], ())
        .map_err(Error::device)
}

/// The sizes of dfdx's tensor, where both kinds are at hand.
pub(crate) fn sizes<S: Shape, D: HostAccess>(raw: &Raw<S, D>) -> S {
    *raw.shape()
}
