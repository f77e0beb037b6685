//! Memory of large tables, of which a step touches few places, far apart: zeros at first, in memory, in
//! large pages where the system has them, or in a file that is mapped and gone when it is let go.

use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use memmap2::MmapMut;

use crate::Error;

/// Where a table's values and its optimizer's state stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TablePlace {
    /// In memory.
    #[default]
    Memory,
    /// In files of this folder, which have no name and end with the table, however the program ends. The
    /// system keeps in memory what is used, and writes back what it needs the room of.
    File(PathBuf),
}

/// A slice of f32, at first zeros.
pub(crate) struct TableMemory {
    map: MmapMut,
    length: usize,
}

impl TableMemory {
    /// An error if the system has no such amount of memory, or the folder's disk no such space.
    pub(crate) fn zeros(length: usize, place: &TablePlace) -> Result<Self, Error> {
        let bytes = length.saturating_mul(size_of::<f32>()).max(1);
        let map = match place {
            TablePlace::Memory => in_memory(bytes)?,
            TablePlace::File(folder) => {
                in_file(bytes, folder).map_err(|source| Error::TableFile {
                    folder: folder.clone(),
                    bytes,
                    source,
                })?
            }
        };
        Ok(Self { map, length })
    }
}

fn in_memory(bytes: usize) -> Result<MmapMut, Error> {
    let map = MmapMut::map_anon(bytes).map_err(|source| Error::TableMemory { bytes, source })?;
    // A system without large pages refuses; the table is then as right and a little slower.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    Ok(map)
}

fn in_file(bytes: usize, folder: &Path) -> std::io::Result<MmapMut> {
    let file = tempfile::tempfile_in(folder)?;
    reserve(&file, bytes)?;
    // SAFETY: the file has no name, so no other process changes or shortens it; its space is taken, so that
    // no access finds the disk full.
    let map = unsafe { MmapMut::map_mut(&file)? };
    // Rows are far apart: what stands beside one is of no use.
    #[cfg(unix)]
    let _ = map.advise(memmap2::Advice::Random);
    Ok(map)
}

/// Takes the space of zeros, so that a disk that is too small is noticed here and not at a write to the map.
#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: usize) -> std::io::Result<()> {
    // Asking for more than there is would fill the disk for all others, for a moment.
    let disk = nix::sys::statvfs::fstatvfs(file)?;
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    if bytes as u64 > free {
        let words = format!("its disk has {free} bytes left");
        return Err(std::io::Error::new(std::io::ErrorKind::StorageFull, words));
    }
    let length = i64::try_from(bytes).map_err(|_| std::io::ErrorKind::FileTooLarge)?;
    nix::fcntl::posix_fallocate(file, 0, length)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn reserve(mut file: &File, bytes: usize) -> std::io::Result<()> {
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), bytes as u64),
        &mut file,
    )?;
    Ok(())
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
        let folder = tempfile::tempdir().unwrap();
        for place in [
            TablePlace::Memory,
            TablePlace::File(folder.path().to_owned()),
        ] {
            for length in [0, 1, 1_000_003] {
                let mut memory = TableMemory::zeros(length, &place).unwrap();
                assert_eq!(memory.len(), length);
                assert!(memory.iter().all(|&value| value == 0.0));
                if let Some(last) = memory.last_mut() {
                    *last = 3.0;
                    assert_eq!(memory[length - 1], 3.0);
                }
                // Nothing is left for others to find, or for a crash to leave behind.
                assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            }
        }
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = TableMemory::zeros(usize::MAX / 16, &TablePlace::Memory);
        let told = error.err().unwrap().to_string();
        assert!(told.contains("does not fit into memory"), "{told}");
        let place = TablePlace::File(folder.path().to_owned());
        let told = TableMemory::zeros(1 << 48, &place).err().unwrap();
        let told = told.to_string();
        assert!(told.contains("bytes left"), "{told}");
        assert!(
            told.contains(&folder.path().display().to_string()),
            "{told}"
        );
        let place = TablePlace::File(folder.path().join("none"));
        assert!(TableMemory::zeros(1, &place).is_err());
    }
}
