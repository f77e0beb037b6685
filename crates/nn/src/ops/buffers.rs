//! Memory for values that live within one operation or between its forward and its backward pass. It is
//! used again by later operations of the thread, so that a steady step neither clears nor maps pages.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use dfdx::shapes::Shape;
use dfdx::tensor::Cpu;

use crate::tensors::Tensor;
use crate::threads::OnThreads;

/// Values a thread keeps at most for later, 512 MiB.
const KEPT: usize = 128 << 20;

/// From this length on, 256 KiB, values are copied and cleared by all threads.
const LONG: usize = 1 << 16;
/// Values of one task.
const BLOCK: usize = 1 << 14;

thread_local! {
    static FREE: RefCell<Free> = const {
        RefCell::new(Free {
            buffers: BTreeMap::new(),
            values: 0,
        })
    };
}

/// What a thread keeps for later: hundreds of buffers where batches differ in size.
struct Free {
    /// By length; none of the lists is empty.
    buffers: BTreeMap<usize, Vec<Vec<f32>>>,
    values: usize,
}

impl Free {
    /// The shortest buffer of at least `length` values that is not much too long. Long ones may be much
    /// longer: where batches differ in size, a small one is worked on in the memory of a large one.
    fn take(&mut self, length: usize) -> Option<Vec<f32>> {
        let factor = if length < LONG { 2 } else { 16 };
        let (&found, list) = self.buffers.range_mut(length..).next()?;
        if found > factor * length + 1024 {
            return None;
        }
        let buffer = list.pop();
        if list.is_empty() {
            self.buffers.remove(&found);
        }
        self.values -= found;
        buffer
    }

    fn put(&mut self, buffer: Vec<f32>) {
        if buffer.is_empty() || self.values + buffer.len() > KEPT {
            return;
        }
        self.values += buffer.len();
        self.buffers.entry(buffer.len()).or_default().push(buffer);
    }
}

/// A slice of f32 whose memory goes back to the thread when dropped.
#[derive(Debug)]
pub struct Buffer {
    memory: Vec<f32>,
    length: usize,
}

impl Buffer {
    /// With contents that mean nothing: for results that are written in full.
    pub(crate) fn scratch(length: usize) -> Self {
        let memory = FREE
            .with_borrow_mut(|free| free.take(length))
            .unwrap_or_else(|| vec![0.0; length]);
        Self { memory, length }
    }

    /// A copy of values.
    pub(crate) fn from_values(values: &[f32]) -> Self {
        let mut buffer = Self::scratch(values.len());
        if values.len() < LONG {
            buffer.copy_from_slice(values);
        } else {
            buffer
                .chunks_mut(BLOCK)
                .zip(values.chunks(BLOCK))
                .for_each_on_threads(|(to, from)| to.copy_from_slice(from));
        }
        buffer
    }

    /// All zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        let mut buffer = Self::scratch(length);
        if length < LONG {
            buffer.fill(0.0);
        } else {
            buffer
                .chunks_mut(BLOCK)
                .for_each_on_threads(|values| values.fill(0.0));
        }
        buffer
    }

    /// A copy of a tensor's values, to be changed.
    pub(crate) fn of<S: Shape>(tensor: &Tensor<S, Cpu>) -> Self {
        Self::from_values(tensor.values())
    }

    /// Gives the memory away; it is at least as long as the buffer.
    pub(crate) fn into_memory(mut self) -> Vec<f32> {
        std::mem::take(&mut self.memory)
    }

    /// Memory that [`Buffer::into_memory`] gave away; `length` is at most its own.
    pub(crate) fn from_memory(memory: Vec<f32>, length: usize) -> Self {
        assert!(length <= memory.len(), "memory shorter than its buffer");
        Self { memory, length }
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(memory: Vec<f32>) -> Self {
        let length = memory.len();
        Self { memory, length }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::from_values(self)
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        // While the thread ends there is nothing to give back to.
        let _ = FREE.try_with(|free| free.borrow_mut().put(memory));
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.memory[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_where_it_fits() {
        let mut buffer = Buffer::scratch(5000);
        buffer.fill(3.0);
        let address = buffer.as_ptr();
        drop(buffer);
        assert_ne!(Buffer::scratch(100).as_ptr(), address, "much too long");
        let again = Buffer::scratch(4000);
        assert_eq!((again.as_ptr(), again.len()), (address, 4000));
        drop(again);
        assert!(Buffer::zeros(4500).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn a_thread_keeps_a_limited_amount() {
        let mut free = Free {
            buffers: BTreeMap::new(),
            values: KEPT - 10,
        };
        free.put(vec![0.0; 11]);
        assert!(free.buffers.is_empty());
        free.put(vec![0.0; 10]);
        assert_eq!(free.values, KEPT);
    }
}
