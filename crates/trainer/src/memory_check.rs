//! Whether a model can be trained in the memory of a machine: asked before any of it is taken.

use supermoe_plugin::machine_memory::memory_and_swap_bytes;
use supermoe_plugin::size::size_text;

use crate::error::TrainError;

/// Of a weight with its gradient and the two moments of the optimizer, each an f32.
const BYTES_OF_A_WEIGHT: u64 = 16;

/// What a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModelSize {
    /// Parameters on the device.
    pub weights: u64,
    /// Of id tables in memory, with their optimizer's state; those in mapped files take none that counts.
    pub table_bytes: u64,
}

impl ModelSize {
    /// The least that its training takes: activations and copies of the weights come on top.
    pub fn training_bytes(self) -> u64 {
        let weights = self.weights.saturating_mul(BYTES_OF_A_WEIGHT);
        weights.saturating_add(self.table_bytes)
    }

    /// # Errors
    /// It needs more than this machine has.
    pub fn check_fits(self, model: &str) -> Result<(), TrainError> {
        self.check_fits_in(memory_and_swap_bytes(), model)
    }

    fn check_fits_in(self, machine_bytes: Option<u64>, model: &str) -> Result<(), TrainError> {
        let needed = self.training_bytes();
        let Some(machine) = machine_bytes.filter(|machine| needed > *machine) else {
            return Ok(());
        };
        Err(TrainError::Memory {
            model: model.to_owned(),
            needed: size_text(needed),
            weights: self.weights,
            tables: size_text(self.table_bytes),
            machine: size_text(machine),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn what_does_not_fit_is_refused_with_what_it_needs_and_what_there_is() {
        let size = ModelSize {
            weights: GIB,
            table_bytes: 8 * GIB,
        };
        assert_eq!(size.training_bytes(), 24 * GIB);
        assert_eq!(
            size.check_fits_in(Some(24 * GIB), "supermoe")
                .map_err(|e| e.to_string()),
            Ok(())
        );
        assert!(size.check_fits_in(None, "supermoe").is_ok());
        let told = size
            .check_fits_in(Some(24 * GIB - 1), "supermoe")
            .unwrap_err();
        assert_eq!(
            told.to_string(),
            "training this model takes at least 24.0 GiB of memory (1073741824 weights with gradients and moments, and 8.0 \
             GiB of id tables), and this machine has 24.0 GiB: give `d_model` and the sizes in `models.supermoe` smaller \
             values, id channels fewer values, or the tables a limit of memory (`tables.memory`), beyond which they lie in \
             files"
        );
    }

    #[test]
    fn sizes_beyond_all_bounds_do_not_wrap() {
        let size = ModelSize {
            weights: u64::MAX / 2,
            table_bytes: u64::MAX,
        };
        assert_eq!(size.training_bytes(), u64::MAX);
    }
}
