//! Memory of large tables, of which a step touches few places, far apart: zeros from the system, in large
//! pages where it has them, so that touching a place for the first time, and finding it again, is cheap.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use crate::Error;

/// A slice of f32, at first zeros.
pub(crate) struct TableMemory {
    map: MmapMut,
    length: usize,
}

impl TableMemory {
    /// An error if the system has no such amount of memory.
    pub(crate) fn zeros(length: usize) -> Result<Self, Error> {
        let bytes = length.saturating_mul(size_of::<f32>()).max(1);
        let map =
            MmapMut::map_anon(bytes).map_err(|source| Error::TableMemory { bytes, source })?;
        // A system without large pages refuses; the table is then as right and a little slower.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self { map, length })
    }
}

impl Deref for TableMemory {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        bytemuck::cast_slice(&self.map[..self.length * size_of::<f32>()])
    }
}

impl DerefMut for TableMemory {
    fn deref_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.map[..self.length * size_of::<f32>()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_first_and_of_any_length() {
        for length in [0, 1, 1_000_003] {
            let mut memory = TableMemory::zeros(length).unwrap();
            assert_eq!(memory.len(), length);
            assert!(memory.iter().all(|&value| value == 0.0));
            if let Some(last) = memory.last_mut() {
                *last = 3.0;
                assert_eq!(memory[length - 1], 3.0);
            }
        }
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        let error = TableMemory::zeros(usize::MAX / 16).err().unwrap();
        assert!(error.to_string().contains("table"), "{error}");
    }
}
