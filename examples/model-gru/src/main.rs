//! The model's own program: `pretrain`, `finetune`, `export` and `predict` for `model: gru`.

use std::process::ExitCode;

fn main() -> ExitCode {
    supermoe_trainer::plugins::serve_model(&supermoe_model_gru::factory())
}
