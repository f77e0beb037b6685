//! The outputs of a model's small jobs, held to the bit: whoever changes them raises a revision.

use supermoe_trainer::Pretraining;
use supermoe_trainer::plugins::{FINETUNE_REVISION, PRETRAIN_REVISION};

use crate::stage::{Listener, ModelUnderTest, with};
use crate::tiny_retail;

/// What a model's outputs were when its revision was last looked at.
pub struct Golden {
    /// Revisions of the model, of `pretrain` and of `finetune`.
    pub revisions: [&'static str; 3],
    /// A digest of all outputs by the class of instructions: floating-point results hold to the bit within
    /// one.
    pub digests: &'static [(&'static str, &'static str)],
}

/// Panics where outputs are others though no revision was raised, or the other way round.
pub fn hold(model: &ModelUnderTest, golden: &Golden) {
    let revisions = [model.factory.revision, PRETRAIN_REVISION, FINETUNE_REVISION];
    let dataset = tiny_retail::dataset(40);
    let stage = model.stage();
    let mut encoder = None;
    if model.factory.pretraining != Pretraining::None {
        let params = with(model.pretrain_params(), "epochs", 2);
        stage
            .pretrain(&dataset, &params, &mut Listener::default())
            .unwrap();
        encoder = Some(stage.path("encoder"));
    }
    let first = stage.digests();
    let params = with(model.finetune_params(), "epochs", 2);
    std::fs::remove_file(stage.path("history.ndjson")).ok();
    stage
        .finetune(
            &dataset,
            &params,
            encoder.as_deref(),
            &mut Listener::default(),
        )
        .unwrap();
    let text = format!("{first:?}{:?}", stage.digests());
    let digest = blake3::hash(text.as_bytes()).to_hex();
    assert_eq!(
        revisions, golden.revisions,
        "the revision was raised: put in the new ones, and the digest {digest}"
    );
    let class = instruction_class();
    if let Some((_, expected)) = golden.digests.iter().find(|(of, _)| *of == class) {
        assert_eq!(
            digest.as_str(),
            *expected,
            "outputs changed: raise the revision of what changed them"
        );
    }
}

/// As far as this program's kernels tell instructions apart.
pub fn instruction_class() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "avx512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "avx2";
        }
    }
    "other"
}
