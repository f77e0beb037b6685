//! The outputs of small jobs, held to the bit: whoever changes them raises a revision.

use supermoe_model_conformance::golden::instruction_class;
use supermoe_trainer::plugins::{FINETUNE_REVISION, PRETRAIN_REVISION};

use crate::stage::{Listener, Stage, finetune_params, pretrain_params, with};
use crate::tiny_retail;

/// Revisions of the model, of `pretrain` and of `finetune` that the digests below belong to.
const REVISIONS: [&str; 3] = ["2", "6", "6"];

/// Digests of all outputs of both jobs, by the class of instructions: floating-point results hold to
/// the bit within one. On a processor of another class the losses alone are held, roughly.
const DIGESTS: [(&str, &str); 1] = [(
    "avx512",
    "2cdf1647b682032419a048ad962e9da07e57d4618c8792d4fc9a6ced01d7c883",
)];

#[test]
fn outputs_change_only_with_a_revision() {
    let revisions = [
        supermoe_model_supermoe::factory().revision,
        PRETRAIN_REVISION,
        FINETUNE_REVISION,
    ];
    assert_eq!(
        revisions, REVISIONS,
        "the revision was raised: run this test again and put in the new digests"
    );
    let dataset = tiny_retail::dataset(40);
    let (pretrained, tuned) = (Stage::new(), Stage::new());
    let params = with(pretrain_params(), "epochs", 2);
    pretrained
        .pretrain(&dataset, &params, &mut Listener::default())
        .unwrap();
    let encoder = pretrained.path("encoder");
    tuned
        .finetune(
            &dataset,
            &with(finetune_params(), "epochs", 2),
            Some(&encoder),
            &mut Listener::default(),
        )
        .unwrap();

    let digest =
        blake3::hash(format!("{:?}{:?}", pretrained.digests(), tuned.digests()).as_bytes())
            .to_hex();
    if let Some((_, expected)) = DIGESTS
        .iter()
        .find(|(class, _)| *class == instruction_class())
    {
        assert_eq!(
            digest.as_str(),
            *expected,
            "outputs changed: raise the revision of what changed them"
        );
    }
    let losses = [pretrained.curve("train/loss"), tuned.curve("train/loss")]
        .map(|curve| curve[curve.len() - 1]);
    for (loss, expected) in losses.into_iter().zip([6.448_853_8, 0.677_246_2]) {
        assert!(
            (loss - expected).abs() < 2e-3 * expected,
            "{losses:?}: raise the revision of what changed them"
        );
    }
}
