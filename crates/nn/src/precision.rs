//! With how many bits matrix products on the CPU multiply, for the whole process.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;
use crate::ops::bf16;

static HALF: AtomicBool = AtomicBool::new(false);

/// What matrix products multiply. They sum in f32 in any case, and all else computes in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Numbers of 32 bits, as they are.
    #[default]
    F32,
    /// Numbers rounded to bfloat16: 8 bits of fraction, the range of f32.
    Bf16,
}

/// Chooses for all products from now on.
///
/// # Errors
/// bfloat16 on a processor without instructions for it.
pub fn set_precision(precision: Precision) -> Result<(), Error> {
    if precision == Precision::Bf16 && !bf16::available() {
        return Err(Error::value(
            "precision",
            "bf16",
            "left out on a processor without AVX512-BF16",
            "asked for",
        ));
    }
    HALF.store(precision == Precision::Bf16, Ordering::Relaxed);
    Ok(())
}

/// What is chosen.
pub fn precision() -> Precision {
    if HALF.load(Ordering::Relaxed) {
        Precision::Bf16
    } else {
        Precision::F32
    }
}
