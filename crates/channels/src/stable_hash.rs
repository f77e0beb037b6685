//! A hash of text that is the same on every machine and in every version: outputs hang on it.

use crate::schema::FIRST_CODE;

/// What a hash is for, so that the same text falls differently for different ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashPurpose {
    /// The code of a value of a hashed channel.
    Code,
    /// The split of an entity.
    Split,
    /// The bucket in which an entity is worked on.
    Bucket,
    /// The half of the validation split that an entity belongs to, where it is halved.
    ValidationHalf,
    /// Whether the labels of an entity are learned from, where only a share is.
    Labelled,
}

/// FNV-1a over the bytes, then the finaliser of MurmurHash3, which spreads short texts over all bits.
pub fn stable_hash(purpose: HashPurpose, text: &str) -> u64 {
    let seed: u64 = match purpose {
        HashPurpose::Code => 0x9e37_79b9_7f4a_7c15,
        HashPurpose::Split => 0xc2b2_ae3d_27d4_eb4f,
        HashPurpose::Bucket => 0x1656_67b1_9e37_79f9,
        HashPurpose::ValidationHalf => 0x27d4_eb2f_1656_67c5,
        HashPurpose::Labelled => 0xff51_afd7_ed55_8ccd,
    };
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    for &byte in text.as_bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The code of a value of a channel with that many hash buckets.
///
/// # Panics
/// If there are no buckets.
pub fn hashed_code(value: &str, buckets: u32) -> u32 {
    // Below `buckets`, a u32.
    let bucket = (stable_hash(HashPurpose::Code, value) % u64::from(buckets)) as u32;
    FIRST_CODE + bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_changes() {
        let hashes = ["", "a", "user 1"].map(|text| stable_hash(HashPurpose::Code, text));
        let expected = [
            7_767_475_034_809_871_243,
            5_656_076_326_713_248_563,
            15_016_520_879_248_304_043,
        ];
        assert_eq!(hashes, expected);
    }

    #[test]
    fn codes_fill_their_buckets_evenly() {
        let mut counts = [0u32; 13];
        for i in 0..13_000 {
            counts[hashed_code(&format!("item {i}"), 10) as usize] += 1;
        }
        assert_eq!(counts[..3], [0, 0, 0]);
        assert!(
            counts[3..]
                .iter()
                .all(|count| (1_150..1_450).contains(count)),
            "{counts:?}"
        );
    }
}
