//! The learning rate by step: linear warm-up, then cosine decay to zero or no decay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Half a cosine over all steps, from the full rate to zero.
    #[default]
    Cosine,
    /// The full rate to the end.
    None,
}

/// Factor of the learning rate by step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    pub warmup_steps: u64,
    pub total_steps: u64,
    pub decay: Decay,
}

impl Schedule {
    /// The factor for the step with this index, counted from 0; in [0, 1].
    pub fn factor(&self, step: u64) -> f64 {
        let warmup = match self.warmup_steps {
            0 => 1.0,
            steps => ((step + 1) as f64 / steps as f64).min(1.0),
        };
        let decay = match self.decay {
            Decay::None => 1.0,
            Decay::Cosine => {
                let share = step as f64 / self.total_steps.max(1) as f64;
                0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
            }
        };
        warmup * decay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_then_falls_to_zero() {
        let schedule = Schedule {
            warmup_steps: 10,
            total_steps: 100,
            decay: Decay::Cosine,
        };
        assert!((schedule.factor(0) - 0.1).abs() < 1e-3);
        assert!(schedule.factor(9) > 0.97);
        assert!((schedule.factor(50) - 0.5).abs() < 1e-9);
        assert!(schedule.factor(99) < 1e-3);
        assert_eq!(schedule.factor(1000), 0.0);
        assert!((10..99).all(|step| schedule.factor(step + 1) < schedule.factor(step)));
    }

    #[test]
    fn without_warmup_and_decay_it_is_one() {
        let schedule = Schedule {
            warmup_steps: 0,
            total_steps: 0,
            decay: Decay::None,
        };
        assert_eq!(schedule.factor(0), 1.0);
        assert_eq!(schedule.factor(12345), 1.0);
    }
}
