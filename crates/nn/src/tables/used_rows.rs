//! Which rows of a table the codes of a batch use.

use super::PLACES;
use crate::threads::OnThreads;

/// A set of rows as bits is used where it has at most this many words for each code: so that the cost is
/// that of the codes, whatever the rows of the table.
const WORDS_PER_CODE: usize = 1;

/// The rows that `codes` use, ascending, and for each code the place of its row among them. Codes are below
/// `rows`.
pub(super) fn used_rows(codes: &[u32], rows: usize) -> (Vec<u32>, Vec<u32>) {
    if rows.div_ceil(64) <= WORDS_PER_CODE * codes.len() {
        by_bits(codes, rows)
    } else {
        by_sorting(codes)
    }
}

fn by_bits(codes: &[u32], rows: usize) -> (Vec<u32>, Vec<u32>) {
    let mut bits = vec![0u64; rows.div_ceil(64)];
    for &code in codes {
        bits[code as usize / 64] |= 1 << (code % 64);
    }
    // Used rows before each word.
    let mut before = Vec::with_capacity(bits.len());
    let mut used = Vec::with_capacity(codes.len().min(rows));
    for (word, &of_word) in (0..).zip(&bits) {
        before.push(used.len() as u32);
        let mut left = of_word;
        while left != 0 {
            used.push(word * 64 + left.trailing_zeros());
            left &= left - 1;
        }
    }
    let place = |&code: &u32| {
        let lower = bits[code as usize / 64] & ((1 << (code % 64)) - 1);
        before[code as usize / 64] + lower.count_ones()
    };
    let places = codes.iter().map(place).collect();
    (used, places)
}

fn by_sorting(codes: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut used = codes.to_vec();
    used.sort_unstable();
    used.dedup();
    // Every code is among the rows, so the search finds it.
    let place = |code: u32| used.partition_point(|&row| row < code) as u32;
    let mut places = codes.to_vec();
    places.chunks_mut(PLACES).for_each_on_threads(|places| {
        places.iter_mut().for_each(|code| *code = place(*code));
    });
    (used, places)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_ways_find_the_same(rows in 1u32..1000, codes in prop::collection::vec(any::<u32>(), 0..300)) {
            let codes: Vec<u32> = codes.into_iter().map(|code| code % rows).collect();
            let (used, places) = by_bits(&codes, rows as usize);
            prop_assert!(used.is_sorted_by(|a, b| a < b));
            let found: Vec<u32> = places.iter().map(|&place| used[place as usize]).collect();
            prop_assert_eq!(&found, &codes);
            prop_assert_eq!((used, places), by_sorting(&codes));
        }
    }
}
