//! Gradients of one loss in host memory: what the optimizer consumes, and what methods that compare the
//! gradients of several losses work on.

use dfdx::tensor::Gradients;

use super::LearningRates;
use crate::ops::buffers::Buffer;
use crate::ops::vectors;
use crate::threads::OnThreads;
use crate::{Device, Error, Group, Parameters, Table, TableRows};

/// Values of one task of the pool.
const BLOCK: usize = 16_384;

/// Gradients of all parameters, in their order, and of the used rows of id tables, in theirs. Those of
/// frozen groups are absent.
#[derive(Clone, Debug, PartialEq)]
pub struct HostGradients {
    pub(super) parameters: Vec<GroupGradient>,
    /// Of each table [U, dim].
    pub(super) rows: Vec<GroupGradient>,
}

/// The gradient of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GroupGradient {
    pub(super) group: Group,
    /// `None` where the group is frozen.
    pub(super) values: Option<Buffer>,
}

impl HostGradients {
    /// Takes the gradients of all groups that have a rate out of `gradients`; zeros where the loss does
    /// not depend on a tensor.
    pub fn take<D: Device>(
        parameters: &Parameters<D>,
        tables: &[(&Table, &TableRows<D>)],
        gradients: &mut Gradients<f32, D>,
        rates: &LearningRates,
    ) -> Result<Self, Error> {
        let of_parameters = parameters.iter().map(|parameter| {
            let group = parameter.group();
            let learns = rates.of(group).is_some();
            let values = learns.then(|| parameter.take_gradient(gradients));
            let values = values.transpose()?;
            Ok(GroupGradient { group, values })
        });
        let parameters = of_parameters.collect::<Result<_, Error>>()?;
        let of_rows = tables.iter().map(|(table, rows)| {
            let group = table.group();
            let learns = rates.of(group).is_some();
            let values = learns.then(|| D::take_gradient(gradients, &rows.leaf));
            let values = values.transpose()?;
            Ok(GroupGradient { group, values })
        });
        let rows = of_rows.collect::<Result<_, Error>>()?;
        Ok(Self { parameters, rows })
    }

    /// Gradients that come from elsewhere, of parameters alone.
    pub fn of_parameters(parameters: Vec<(Group, Vec<f32>)>) -> Self {
        let of = |(group, values): (Group, Vec<f32>)| GroupGradient {
            group,
            values: Some(values.into()),
        };
        Self {
            parameters: parameters.into_iter().map(of).collect(),
            rows: Vec::new(),
        }
    }

    /// Zeros of the same sizes.
    pub fn zeros(&self) -> Self {
        let of = |gradient: &GroupGradient| GroupGradient {
            group: gradient.group,
            values: gradient
                .values
                .as_ref()
                .map(|values| Buffer::zeros(values.len())),
        };
        Self {
            parameters: self.parameters.iter().map(of).collect(),
            rows: self.rows.iter().map(of).collect(),
        }
    }

    /// The gradients of parameters, in their order; `None` where frozen.
    pub fn parameters(&self) -> impl Iterator<Item = Option<&[f32]>> {
        self.parameters.iter().map(|of| of.values.as_deref())
    }

    /// The gradients of the used rows of each table [U, dim]; `None` where frozen.
    pub fn rows(&self) -> impl Iterator<Item = Option<&[f32]>> {
        self.rows.iter().map(|of| of.values.as_deref())
    }

    /// The scalar product with gradients of the same tensors, over `groups`.
    pub fn dot(&self, other: &Self, groups: &[Group]) -> f64 {
        self.pairs(other, groups).map(|(a, b)| dot(a, b)).sum()
    }

    /// Adds `factor` times the gradients of the same tensors, over `groups`.
    pub fn add_scaled(&mut self, other: &Self, factor: f32, groups: &[Group]) {
        let ours = self.parameters.iter_mut().chain(&mut self.rows);
        let pairs = ours.zip(other.parameters.iter().chain(&other.rows));
        for (to, from) in pairs.filter(|(to, _)| groups.contains(&to.group)) {
            if let (Some(to), Some(from)) = (&mut to.values, &from.values) {
                to.chunks_mut(BLOCK)
                    .zip(from.chunks(BLOCK))
                    .for_each_on_threads(|(to, from)| {
                        vectors::add_all_scaled(to, factor, from);
                    });
            }
        }
    }

    fn pairs<'a>(
        &'a self,
        other: &'a Self,
        groups: &'a [Group],
    ) -> impl Iterator<Item = (&'a [f32], &'a [f32])> {
        let ours = self.parameters.iter().chain(&self.rows);
        let theirs = other.parameters.iter().chain(&other.rows);
        ours.zip(theirs)
            .filter(|(a, _)| groups.contains(&a.group))
            .filter_map(|(a, b)| Some((a.values.as_deref()?, b.values.as_deref()?)))
    }

    /// The square of the norm over all groups.
    pub(super) fn squares(&self) -> f64 {
        let all = self.parameters.iter().chain(&self.rows);
        let values = all.filter_map(|of| of.values.as_deref());
        values.map(|values| dot(values, values)).sum()
    }
}

/// The scalar product, summed in a fixed order.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const PIECE: usize = 512;
    let mut partials = vec![0.0; a.len().div_ceil(BLOCK)];
    a.chunks(BLOCK)
        .zip(b.chunks(BLOCK))
        .zip(&mut partials)
        .for_each_on_threads(|((a, b), partial)| {
            let pieces = a.chunks(PIECE).zip(b.chunks(PIECE));
            let pieces = pieces.map(|(a, b)| f64::from(vectors::dot_all(a, b)));
            *partial = pieces.sum();
        });
    partials.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradients(encoder: Option<&[f32]>, tower: &[f32], rows: &[f32]) -> HostGradients {
        let of = |group, values: Option<&[f32]>| GroupGradient {
            group,
            values: values.map(Buffer::from_values),
        };
        HostGradients {
            parameters: vec![of(Group::Encoder, encoder), of(Group::Towers, Some(tower))],
            rows: vec![of(Group::Tables, Some(rows))],
        }
    }

    #[test]
    fn products_and_sums_keep_to_their_groups() {
        let shared = [Group::Encoder, Group::Tables];
        let mut a = gradients(Some(&[1.0, 2.0]), &[10.0], &[3.0]);
        let b = gradients(Some(&[-1.0, 0.5]), &[1.0], &[2.0]);
        assert_eq!(a.dot(&b, &shared), 6.0);
        assert_eq!(a.dot(&b, &[Group::Towers]), 10.0);
        assert_eq!(a.squares(), 114.0);
        a.add_scaled(&b, 2.0, &shared);
        assert_eq!(a, gradients(Some(&[-1.0, 3.0]), &[10.0], &[7.0]));
    }

    #[test]
    fn a_frozen_group_takes_no_part() {
        let frozen = gradients(None, &[1.0], &[1.0]);
        let other = gradients(Some(&[5.0, 5.0]), &[1.0], &[2.0]);
        assert_eq!(frozen.dot(&other, &[Group::Encoder, Group::Tables]), 2.0);
        let mut sum = frozen.clone();
        sum.add_scaled(&other, 1.0, &[Group::Encoder]);
        assert_eq!(sum, frozen);
    }

    #[test]
    fn long_sums_do_not_depend_on_threads() {
        let values = |seed: u32| -> Vec<f32> {
            (0..100_003u32)
                .map(|i| (i.wrapping_mul(seed) >> 8) as f32 / 1e7 - 0.8)
                .collect()
        };
        let (a, b) = (values(2_654_435_761), values(2_246_822_519));
        let on = |count| {
            let dot = crate::threads::run(count, || dot(&a, &b));
            dot.unwrap().to_bits()
        };
        assert_eq!(on(1), on(3));
        let plain: f64 = a
            .iter()
            .zip(&b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum();
        assert!((f64::from_bits(on(1)) - plain).abs() < 1e-5 * plain.abs().max(1.0));
    }
}
