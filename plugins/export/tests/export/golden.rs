//! The embeddings of a small model, held to the bit: whoever changes them raises a revision.

use serde_json::json;
use supermoe_trainer::plugins::{self, EXPORT_REVISION};

use crate::stage::{Artifacts, models};
use crate::tiny_retail;

/// The revision of `export` that the digest below belongs to.
const REVISION: &str = "4";

/// BLAKE3 of both files of fixed numbers: those of a network whose every weight is 0 but for the biases,
/// so that neither training nor the processor have their say.
const DIGEST: &str = "0b273d2df2c1d104564f0282c8edd230b9352042a3034484be20d22f8ea4c3ca";

#[test]
fn the_files_change_only_with_a_revision() {
    assert_eq!(
        EXPORT_REVISION, REVISION,
        "the revision was raised: run this test again and put in the new digest"
    );
    let artifacts = Artifacts::trained(&tiny_retail::dataset(10));
    artifacts.copy("encoder", "flat");
    flatten(&artifacts, "flat/weights.safetensors");
    let outputs = [("embeddings", "embeddings".to_owned())];
    let inputs = [("dataset", "dataset"), ("encoder", "flat")];
    let run = artifacts.run_into(&plugins::export(models()), json!({}), &inputs, &outputs, 1);
    run.outcome.expect("it exports");
    let mut bytes = artifacts.read("embeddings/embeddings.npy");
    bytes.extend(artifacts.read("embeddings/embeddings.parquet"));
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        DIGEST,
        "the files changed: raise the revision"
    );
}

/// Sets every weight to 0, and biases to 1, 2, 3, ... in eighths.
fn flatten(artifacts: &Artifacts, path: &str) {
    let mut bytes = artifacts.read(path);
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let tensors: serde_json::Value =
        serde_json::from_slice(&bytes[8..8 + header]).expect("a header");
    for (name, tensor) in tensors.as_object().expect("a map") {
        if name == "__metadata__" {
            continue;
        }
        let place = |i: usize| tensor["data_offsets"][i].as_u64().expect("a number") as usize;
        let is_bias = name.ends_with(".bias");
        let numbers = &mut bytes[8 + header + place(0)..8 + header + place(1)];
        for (i, number) in numbers.chunks_exact_mut(4).enumerate() {
            let value = if is_bias { (i + 1) as f32 / 8.0 } else { 0.0 };
            number.copy_from_slice(&value.to_le_bytes());
        }
    }
    std::fs::write(artifacts.path(path), bytes).expect("written");
}
