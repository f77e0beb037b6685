//! Sizes of model and training by the size of the data: a first run should take seconds to minutes.

/// What the workflow says of model and training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    pub length: u32,
    pub d_model: u32,
    pub layers: u32,
    pub heads: u32,
    pub d_ff: u32,
    pub experts: u32,
    pub id_width: u32,
    pub category_width: u32,
    pub batch_size: u64,
    pub pretrain_steps: u64,
    pub epochs: u64,
    pub warmup_steps: u64,
    pub learning_rate: &'static str,
}

/// Steps that a small fine-tuning should have to learn anything.
const FINETUNE_STEPS: u64 = 150;

/// `samples` of the training split, and the events of an entity that has more than most.
pub fn sizes(samples: u64, entity_events: usize) -> Sizes {
    let length = entity_events.max(1).next_power_of_two().clamp(8, 128) as u32;
    let steps = samples.saturating_mul(u64::from(length));
    let small = Sizes {
        length: length.min(64),
        d_model: 16,
        layers: 1,
        heads: 2,
        d_ff: 32,
        experts: 2,
        id_width: 8,
        category_width: 4,
        batch_size: 32,
        pretrain_steps: 50,
        epochs: 3,
        warmup_steps: 10,
        learning_rate: "0.003",
    };
    match steps {
        ..200_000 => Sizes {
            epochs: (FINETUNE_STEPS * small.batch_size / samples.max(1)).clamp(2, 10),
            ..small
        },
        200_000..5_000_000 => Sizes {
            length,
            d_model: 32,
            layers: 2,
            heads: 4,
            d_ff: 64,
            experts: 4,
            id_width: 16,
            category_width: 8,
            batch_size: 64,
            pretrain_steps: 200,
            warmup_steps: 50,
            epochs: 2,
            learning_rate: "0.002",
        },
        _ => Sizes {
            length,
            d_model: 64,
            layers: 2,
            heads: 4,
            d_ff: 128,
            experts: 4,
            id_width: 16,
            category_width: 8,
            batch_size: 64,
            pretrain_steps: 1000,
            warmup_steps: 100,
            epochs: 2,
            learning_rate: "0.001",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_data_get_a_larger_model_and_small_data_more_epochs() {
        let [small, middle, large] = [(300, 6), (20_000, 40), (2_000_000, 500)]
            .map(|(samples, events)| sizes(samples, events));
        assert_eq!((small.length, small.d_model, small.epochs), (8, 16, 10));
        assert_eq!((middle.length, middle.d_model), (64, 32));
        assert_eq!((large.length, large.d_model), (128, 64));
    }
}
