//! The layers in plain f64 code, from their parameters by name.

use std::collections::HashMap;
use std::ops::Range;

use super::encoder::Batch;
use super::references;
use crate::layers::EncoderConfig;

/// Values of parameters and other leaves by name.
pub(super) type Values<'a> = HashMap<&'a str, &'a [f64]>;

pub(super) struct Plain<'a> {
    pub(super) config: &'a EncoderConfig,
    pub(super) values: &'a Values<'a>,
    pub(super) ranges: Vec<Range<usize>>,
    /// Sums of the mixtures' losses.
    pub(super) balance: f64,
    pub(super) z: f64,
}

impl<'a> Plain<'a> {
    pub(super) fn new(
        config: &'a EncoderConfig,
        values: &'a Values<'a>,
        ranges: Vec<Range<usize>>,
    ) -> Self {
        Self {
            config,
            values,
            ranges,
            balance: 0.0,
            z: 0.0,
        }
    }

    fn get(&self, name: &str) -> &'a [f64] {
        self.values[name]
    }

    pub(super) fn linear(&self, x: &[f64], name: &str, outputs: usize) -> Vec<f64> {
        let weight = self.get(&format!("{name}.weight"));
        let bias = self.get(&format!("{name}.bias"));
        references::linear(x, weight, Some(bias), weight.len() / outputs, outputs)
    }

    pub(super) fn norm(&self, x: &[f64], name: &str, relu: bool) -> Vec<f64> {
        let (scale, shift) = (format!("{name}.scale"), format!("{name}.shift"));
        references::layer_norm(x, self.get(&scale), self.get(&shift), relu)
    }

    /// `used` are the rows of each id table that the leaf of its name holds.
    pub(super) fn mfp(&self, batch: &Batch, used: &[Vec<u32>]) -> Vec<f64> {
        let config = &self.config.mfp;
        let mut inputs = Vec::new();
        for row in 0..batch.offsets.rows() {
            for (table, codes) in config.categories.iter().zip(&batch.categories) {
                let values = self.get(&format!("mfp.table.{}", table.name));
                inputs.extend(&values[codes[row] as usize * table.dim..][..table.dim]);
            }
            for (i, (&dim, codes)) in config.ids.iter().zip(&batch.ids).enumerate() {
                let place = used[i].iter().position(|&used| used == codes[row]).unwrap();
                inputs.extend(&self.get(&format!("id.{i}"))[place * dim..][..dim]);
            }
            let hidden = |i: usize| {
                !batch.masked.is_empty() && batch.masked[row * config.maskable.len() + i]
            };
            for channel in 0..config.dense {
                let place = config.maskable.iter().position(|&other| other == channel);
                inputs.push(match place {
                    Some(place) if hidden(place) => self.get("mfp.fill")[place],
                    _ => f64::from(batch.dense[row * config.dense + channel]),
                });
            }
            let flags = (0..config.maskable.len()).map(|i| f64::from(u8::from(hidden(i))));
            inputs.extend(flags);
        }
        let projected = self.linear(&inputs, "mfp.projection", config.width);
        self.norm(&projected, "mfp.norm", true)
    }

    pub(super) fn attention(&mut self, x: &[f64], name: &str) -> Vec<f64> {
        let (width, experts) = (self.config.width, self.config.attention_experts);
        let [q, k, v] = if experts == 1 {
            let qkv = self.linear(x, &format!("{name}.qkv"), 3 * width);
            [0, 1, 2].map(|i| {
                qkv.chunks(3 * width)
                    .flat_map(|row| row[i * width..(i + 1) * width].to_vec())
                    .collect()
            })
        } else {
            ["q", "k", "v"].map(|part| {
                let gate = self.get(&format!("{name}.{part}.gate"));
                let weight = self.get(&format!("{name}.{part}.experts"));
                let expert = |row: &[f64], e: usize| {
                    let weight = &weight[e * width * width..][..width * width];
                    references::linear(row, weight, None, width, width)
                };
                self.mixture(x, gate, experts, 1, expert)
            })
        };
        let attended = references::attention(&q, &k, &v, width, self.config.heads, &self.ranges);
        self.linear(&attended, &format!("{name}.output"), width)
    }

    pub(super) fn moe_ffn(&mut self, x: &[f64], name: &str) -> Vec<f64> {
        let (inner, experts, top_k) = (
            self.config.inner,
            self.config.experts,
            self.config.moe.top_k,
        );
        let part = |part: &str| self.get(&format!("{name}.{part}"));
        let (wi, bi) = (part("inner"), part("inner_bias"));
        let (wo, bo) = (part("outer"), part("outer_bias"));
        let expert = |row: &[f64], e: usize| references::expert_ffn(row, e, wi, bi, wo, bo, inner);
        self.mixture(x, part("gate"), experts, top_k, expert)
    }

    fn mixture(
        &mut self,
        x: &[f64],
        gate: &[f64],
        experts: usize,
        top_k: usize,
        expert: impl Fn(&[f64], usize) -> Vec<f64>,
    ) -> Vec<f64> {
        let mut out = references::mixture(x, gate, experts, top_k, usize::MAX, expert);
        if experts > 1 {
            self.balance += out[1][0];
            self.z += out[2][0];
        }
        out.swap_remove(0)
    }

    pub(super) fn block(&mut self, mut x: Vec<f64>, name: &str) -> Vec<f64> {
        let y = self.norm(&x, &format!("{name}.attention_norm"), false);
        add(&mut x, &self.attention(&y, &format!("{name}.attention")));
        for i in 0..self.config.ffns {
            let y = self.norm(&x, &format!("{name}.ffn_norm.{i}"), false);
            add(&mut x, &self.moe_ffn(&y, &format!("{name}.ffn.{i}")));
        }
        x
    }

    /// Hidden states, load-balance loss, z-loss.
    pub(super) fn encoder(&mut self, batch: &Batch, used: &[Vec<u32>]) -> Vec<Vec<f64>> {
        let mut x = self.mfp(batch, used);
        let width = self.config.width;
        for (x, &position) in x.chunks_mut(width).zip(&batch.positions) {
            let position = (position as usize).min(self.config.positions - 1);
            add(x, &self.get("position")[position * width..][..width]);
        }
        for block in 0..self.config.layers {
            x = self.block(x, &format!("block.{block}"));
        }
        vec![
            self.norm(&x, "norm", false),
            vec![self.balance],
            vec![self.z],
        ]
    }
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
