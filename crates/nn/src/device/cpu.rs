//! The CPU's memory is the host's: values are copied once, gradients are moved out.

use dfdx::shapes::{HasShape, Shape};
use dfdx::tensor::{Cpu, Gradients, Tensor};

use super::HostAccess;
use crate::Error;

impl HostAccess for Cpu {
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
}
