//! Names for the dfdx tensors used here (all sizes at run time, no tape inside) and their border to host memory.

use dfdx::shapes::Shape;
use dfdx::tensor::Tensor;

use crate::{Device, Error};

/// [rows, columns].
pub type Matrix<D> = Tensor<(usize, usize), f32, D>;
/// `[length]`.
pub type Vector<D> = Tensor<(usize,), f32, D>;
/// [experts, rows, columns].
pub type Cube<D> = Tensor<(usize, usize, usize), f32, D>;
/// One number.
pub type Scalar<D> = Tensor<(), f32, D>;

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

pub(crate) fn tensor<S: Shape, D: Device>(
    device: &D,
    values: Vec<f32>,
    shape: S,
) -> Result<Tensor<S, f32, D>, Error> {
    if values.len() != shape.num_elements() {
        return Err(Error::value(
            "tensor",
            "number of values",
            shape.num_elements().to_string(),
            values.len(),
        ));
    }
    device
        .try_tensor_from_vec(values, shape)
        .map_err(Error::device)
}

/// The values of a tensor in host memory, row-major.
pub fn read<S: Shape, D: Device>(tensor: &Tensor<S, f32, D>) -> Vec<f32> {
    D::read(tensor)
}

/// The value of a scalar.
pub fn read_scalar<D: Device>(tensor: &Scalar<D>) -> f32 {
    D::read(tensor)[0]
}

/// An index as a tensor.
pub(crate) fn index<D: Device>(device: &D, index: usize) -> Result<Tensor<(), usize, D>, Error> {
    dfdx::tensor::TensorFromVec::<usize>::try_tensor_from_vec(device, vec![index], ())
        .map_err(Error::device)
}
