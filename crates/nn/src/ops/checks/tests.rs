//! The cases on the devices, and what operations say of inputs at the edge.

use super::Kernel::{Composed, Device as Own};
use super::{cases, layer_cases, system_cases};
use crate::ops::{self, Candidates, Jitter, MoeOptions, NO_TARGET, Qkv};
use crate::parameters::Initial;
use crate::{Cpu, Error, NoneTape, Offsets, matrix, read};

#[test]
fn linear() {
    cases::linear::<Cpu>(Own);
    cases::linear::<Cpu>(Composed);
}

#[test]
fn layer_norm() {
    cases::layer_norm::<Cpu>(Own);
    cases::layer_norm::<Cpu>(Composed);
}

#[test]
fn add() {
    cases::add::<Cpu>(Own);
    cases::add::<Cpu>(Composed);
}

#[test]
fn gather_rows() {
    cases::gather_rows::<Cpu>(Own);
    cases::gather_rows::<Cpu>(Composed);
}

#[test]
fn segment_max() {
    cases::segment_max::<Cpu>(Own);
    cases::segment_max::<Cpu>(Composed);
}

#[test]
fn attention_of_one_matrix() {
    layer_cases::attention_of_one_matrix::<Cpu>(Own);
    layer_cases::attention_of_one_matrix::<Cpu>(Composed);
}

#[test]
fn attention_of_three_matrices() {
    layer_cases::attention_of_three_matrices::<Cpu>(Own);
    layer_cases::attention_of_three_matrices::<Cpu>(Composed);
}

#[test]
fn moe_ffn() {
    layer_cases::moe_ffn::<Cpu>(Own);
    layer_cases::moe_ffn::<Cpu>(Composed);
}

#[test]
fn moe_ffn_of_two_inputs() {
    layer_cases::moe_ffn_of_two_inputs::<Cpu>(Own);
    layer_cases::moe_ffn_of_two_inputs::<Cpu>(Composed);
}

#[test]
fn moe_linear() {
    layer_cases::moe_linear::<Cpu>(Own);
    layer_cases::moe_linear::<Cpu>(Composed);
}

#[test]
fn moe_linear_with_jitter() {
    layer_cases::moe_linear_with_jitter::<Cpu>(Own);
    layer_cases::moe_linear_with_jitter::<Cpu>(Composed);
}

#[test]
fn jitter_is_even_around_one_and_within_its_width() {
    let jitter = Jitter { width: 0.1, key: 3 };
    let mut factors = vec![1.0; 100_000];
    jitter.apply(&mut factors);
    assert!(factors.iter().all(|factor| (0.9..=1.1).contains(factor)));
    let mean = factors.iter().map(|&factor| f64::from(factor)).sum::<f64>() / 100_000.0;
    assert!((mean - 1.0).abs() < 1e-3, "{mean}");
    assert!(
        factors.iter().any(|&factor| factor > 1.09) && factors.iter().any(|&factor| factor < 0.91)
    );
    let options = |width| MoeOptions {
        jitter: Some(Jitter { width, key: 3 }),
        ..MoeOptions::default()
    };
    assert!(
        options(0.0).check(2).is_ok()
            && options(1.0).check(2).is_err()
            && options(f32::NAN).check(2).is_err()
    );
}

#[test]
fn lookup() {
    cases::lookup::<Cpu>(Own);
    cases::lookup::<Cpu>(Composed);
}

#[test]
fn dropout() {
    cases::dropout::<Cpu>(Own);
    cases::dropout::<Cpu>(Composed);
}

#[test]
fn cross_entropy() {
    cases::cross_entropy::<Cpu>(Own);
    cases::cross_entropy::<Cpu>(Composed);
}

#[test]
fn sampled_softmax() {
    cases::sampled_softmax::<Cpu>(Own);
    cases::sampled_softmax::<Cpu>(Composed);
}

#[test]
fn losses_by_task() {
    cases::losses_by_task::<Cpu>(Own);
    cases::losses_by_task::<Cpu>(Composed);
}

#[test]
fn sums() {
    cases::sums::<Cpu>(Own);
    cases::sums::<Cpu>(Composed);
}

#[test]
fn relu() {
    system_cases::relu::<Cpu>(Own);
    system_cases::relu::<Cpu>(Composed);
}

#[test]
fn join_columns() {
    system_cases::join_columns::<Cpu>(Own);
    system_cases::join_columns::<Cpu>(Composed);
}

#[test]
fn segment_mean() {
    system_cases::segment_mean::<Cpu>(Own);
    system_cases::segment_mean::<Cpu>(Composed);
}

#[test]
fn add_rows() {
    system_cases::add_rows::<Cpu>(Own);
    system_cases::add_rows::<Cpu>(Composed);
}

#[test]
fn gated_sum() {
    system_cases::gated_sum::<Cpu>(Own);
    system_cases::gated_sum::<Cpu>(Composed);
}

#[test]
fn info_nce() {
    system_cases::info_nce::<Cpu>(Own);
    system_cases::info_nce::<Cpu>(Composed);
}

#[cfg(all(feature = "cuda", not(feature = "ci-check")))]
#[test]
fn every_operation_on_cuda() {
    cases::linear::<dfdx::tensor::Cuda>(Own);
    cases::layer_norm::<dfdx::tensor::Cuda>(Own);
    cases::add::<dfdx::tensor::Cuda>(Own);
    cases::gather_rows::<dfdx::tensor::Cuda>(Own);
    cases::segment_max::<dfdx::tensor::Cuda>(Own);
    layer_cases::attention_of_one_matrix::<dfdx::tensor::Cuda>(Own);
    layer_cases::attention_of_three_matrices::<dfdx::tensor::Cuda>(Own);
    layer_cases::moe_ffn::<dfdx::tensor::Cuda>(Own);
    layer_cases::moe_ffn_of_two_inputs::<dfdx::tensor::Cuda>(Own);
    layer_cases::moe_linear::<dfdx::tensor::Cuda>(Own);
    layer_cases::moe_linear_with_jitter::<dfdx::tensor::Cuda>(Own);
    cases::lookup::<dfdx::tensor::Cuda>(Own);
    cases::dropout::<dfdx::tensor::Cuda>(Own);
    cases::cross_entropy::<dfdx::tensor::Cuda>(Own);
    cases::sampled_softmax::<dfdx::tensor::Cuda>(Own);
    cases::losses_by_task::<dfdx::tensor::Cuda>(Own);
    cases::sums::<dfdx::tensor::Cuda>(Own);
    system_cases::relu::<dfdx::tensor::Cuda>(Own);
    system_cases::join_columns::<dfdx::tensor::Cuda>(Own);
    system_cases::segment_mean::<dfdx::tensor::Cuda>(Own);
    system_cases::add_rows::<dfdx::tensor::Cuda>(Own);
    system_cases::gated_sum::<dfdx::tensor::Cuda>(Own);
    system_cases::info_nce::<dfdx::tensor::Cuda>(Own);
}

#[test]
fn dropout_keeps_the_share_it_should_and_the_mean() {
    let x = matrix(&Cpu::default(), vec![1.0; 100_000], 1000, 100).unwrap();
    let y = read(&ops::dropout(&x, 0.25, 3, &mut NoneTape).unwrap());
    let kept = y.iter().filter(|&&y| y > 0.0).count();
    assert!((74_500..75_500).contains(&kept), "{kept}");
    assert!(y.iter().all(|&y| y == 0.0 || y == 1.0 / 0.75));
    let other = read(&ops::dropout(&x, 0.25, 4, &mut NoneTape).unwrap());
    let both = y
        .iter()
        .zip(&other)
        .filter(|(a, b)| **a > 0.0 && **b > 0.0)
        .count();
    assert!(
        (55_500..57_000).contains(&both),
        "masks of two keys are independent: {both}"
    );
}

#[test]
fn a_batch_without_labels_adds_nothing() {
    let x = matrix(&Cpu::default(), vec![3.0; 4], 2, 2).unwrap();
    let loss = ops::cross_entropy(&x, &[NO_TARGET; 2], &mut NoneTape).unwrap();
    assert_eq!(crate::read_scalar(&loss), 0.0);
    let losses = ops::bce_with_logits(&x, &[f32::NAN; 4], &mut NoneTape).unwrap();
    assert_eq!(read(&losses), [0.0, 0.0]);
    let classes = matrix(&Cpu::default(), vec![1.0; 6], 2, 3).unwrap();
    let none = Candidates {
        targets: vec![0, 1].into(),
        target_log_counts: vec![0.0; 2].into(),
        samples: vec![].into(),
        sample_log_counts: vec![].into(),
    };
    let loss = ops::sampled_softmax(&x, &classes, &none, &mut NoneTape).unwrap();
    assert_eq!(crate::read_scalar(&loss), 0.0);
}

#[test]
fn sampled_softmax_over_all_classes_is_the_full_one() {
    let device = Cpu::default();
    let random = |count, key| Initial::Normal(1.0).values(count, key);
    let (x, w) = (random(5 * 3, 1), random(7 * 4, 2));
    let targets = [0u32, 6, 3, 3, 1];
    let x = matrix(&device, x, 5, 3).unwrap();
    let all = Candidates {
        targets: targets.into(),
        target_log_counts: vec![0.0; 5].into(),
        samples: (0..7).collect(),
        sample_log_counts: vec![0.0; 7].into(),
    };
    let classes = matrix(&device, w.clone(), 7, 4).unwrap();
    let sampled = ops::sampled_softmax(&x, &classes, &all, &mut NoneTape).unwrap();
    let (mut weight, mut bias) = (vec![0.0; 3 * 7], vec![0.0; 7]);
    for (class, row) in w.chunks_exact(4).enumerate() {
        (0..3).for_each(|i| weight[i * 7 + class] = row[i]);
        bias[class] = row[3];
    }
    let weight = matrix(&device, weight, 3, 7).unwrap();
    let bias = crate::vector(&device, bias).unwrap();
    let logits = ops::linear(&x, &weight, Some(&bias), &mut NoneTape).unwrap();
    let full = ops::cross_entropy(&logits, &targets, &mut NoneTape).unwrap();
    let difference = crate::read_scalar(&sampled) - crate::read_scalar(&full);
    assert!(difference.abs() < 1e-6, "{difference}");
}

#[test]
fn nan_in_the_input_reaches_the_loss() {
    let device = Cpu::default();
    let x = matrix(&device, vec![1.0, f32::NAN, 0.0, 2.0], 2, 2).unwrap();
    let loss = ops::cross_entropy(&x, &[0, 1], &mut NoneTape).unwrap();
    assert!(crate::read_scalar(&loss).is_nan());
    let pooled =
        ops::segment_max(&x, &Offsets::from_lengths(&[2]).unwrap(), &mut NoneTape).unwrap();
    assert!(read(&pooled)[1].is_nan());
    let losses = ops::bce_with_logits(&x, &[1.0, 1.0, 1.0, 1.0], &mut NoneTape).unwrap();
    assert!(read(&losses)[1].is_nan() && !read(&losses)[0].is_nan());
}

#[test]
fn operands_that_do_not_fit_are_errors_that_name_them() {
    let device = Cpu::default();
    let x = matrix(&device, vec![0.0; 6], 2, 3).unwrap();
    let w = matrix(&device, vec![0.0; 4], 2, 2).unwrap();
    let message = |error: Option<Error>| error.unwrap().to_string();
    let tape = &mut NoneTape;
    assert_eq!(
        message(ops::linear(&x, &w, None, tape).err()),
        "linear: x must have shape [2, 2], but has [2, 3]"
    );
    assert_eq!(
        message(ops::gather_rows(&x, &vec![2].into(), tape).err()),
        "gather_rows: index must be below 2, but is 2"
    );
    assert_eq!(
        message(ops::cross_entropy(&x, &[3, 0], tape).err()),
        "cross_entropy: target must be below 3, but is 3"
    );
    let offsets = Offsets::from_lengths(&[2]).unwrap();
    assert_eq!(
        message(ops::attention(Qkv::Packed(&x), &offsets, 2, tape).err()),
        "attention: heads must be a divisor of the width 1, but is 2"
    );
    assert_eq!(
        message(
            MoeOptions {
                top_k: 3,
                ..MoeOptions::default()
            }
            .check(2)
            .err()
        ),
        "mixture of experts: top_k must be 1 to the number of experts 2, but is 3"
    );
    let candidates = Candidates {
        targets: vec![0, 2].into(),
        target_log_counts: vec![0.0; 2].into(),
        samples: vec![1].into(),
        sample_log_counts: vec![0.0].into(),
    };
    assert_eq!(
        message(ops::sampled_softmax(&w, &x, &candidates, tape).err()),
        "sampled_softmax: index must be below 2, but is 2"
    );
    assert_eq!(
        message(ops::sampled_softmax(&x, &x, &candidates, tape).err()),
        "sampled_softmax: classes must have shape [2, 4], but has [2, 3]"
    );
    assert!(ops::dropout(&x, 1.0, 0, tape).is_err());
    assert!(ops::bce_with_logits(&x, &[0.0; 5], tape).is_err());
    assert_eq!(x.shape(), &(2, 3));
}
