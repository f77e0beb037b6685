//! Which rows of a packed batch belong to which sequence.

use std::ops::Range;
use std::sync::Arc;

use crate::Error;

/// Row offsets of the sequences of a packed batch: sequence `i` has rows `offsets[i]..offsets[i + 1]`.
/// Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offsets(Arc<[u32]>);

impl Offsets {
    /// From offsets [B + 1] that start at 0 and never fall; anything else is an error.
    pub fn new(offsets: Vec<u32>) -> Result<Self, Error> {
        let fits = offsets.first() == Some(&0) && offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        if !fits {
            let shown: Vec<_> = offsets.iter().take(8).collect();
            return Err(Error::value(
                "offsets",
                "row offsets",
                "a list that starts at 0 and never falls",
                format!("{shown:?}"),
            ));
        }
        Ok(Self(offsets.into()))
    }

    /// From the lengths of the sequences.
    pub fn from_lengths(lengths: &[usize]) -> Result<Self, Error> {
        let mut offsets = Vec::with_capacity(lengths.len() + 1);
        let mut rows = 0usize;
        offsets.push(0);
        for length in lengths {
            rows += length;
            let row = u32::try_from(rows).map_err(|_| {
                Error::value("offsets", "number of rows", "at most 4294967295", rows)
            })?;
            offsets.push(row);
        }
        Ok(Self(offsets.into()))
    }

    /// Number of sequences B.
    pub fn sequences(&self) -> usize {
        self.0.len() - 1
    }

    /// Number of rows N of the batch.
    pub fn rows(&self) -> usize {
        self.0[self.0.len() - 1] as usize
    }

    /// The rows of one sequence.
    pub fn range(&self, sequence: usize) -> Range<usize> {
        self.0[sequence] as usize..self.0[sequence + 1] as usize
    }

    /// The rows of every sequence, in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        (0..self.sequences()).map(|sequence| self.range(sequence))
    }

    /// The length of the longest sequence, 0 for a batch without sequences.
    pub fn longest(&self) -> usize {
        self.ranges().map(|rows| rows.len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_sequences() {
        let offsets = Offsets::from_lengths(&[1, 0, 3]).unwrap();
        assert_eq!(
            (offsets.sequences(), offsets.rows(), offsets.longest()),
            (3, 4, 3)
        );
        assert_eq!(offsets.ranges().collect::<Vec<_>>(), [0..1, 1..1, 1..4]);
        assert_eq!(offsets, Offsets::new(vec![0, 1, 1, 4]).unwrap());
    }

    #[test]
    fn refuses_what_is_no_list_of_offsets() {
        for wrong in [vec![], vec![1, 2], vec![0, 3, 2]] {
            assert!(Offsets::new(wrong).is_err());
        }
    }
}
