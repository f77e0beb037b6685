//! Loss and gradients of a small SuperMoE are those of PyTorch, from the same weights and batch.
//! `xtask/peers/train/parity.py` made the files.

use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use supermoe_nn::layers::{
    Encoder, EncoderConfig, EncoderInput, Linear, MfpConfig, MfpInput, Mode, TableSize,
};
use supermoe_nn::ops::{self, MoeOptions};
use supermoe_nn::optim::{HostGradients, LearningRates};
use supermoe_nn::tables::RowOptimizer;
use supermoe_nn::{Cpu, Group, Offsets, OwnedTape, Parameters, Table, read_scalar};

/// Of the loss, and of a gradient by its largest value.
const TOLERANCE: f32 = 1e-4;
const WIDTH: usize = 8;
const BALANCE_WEIGHT: f32 = 0.01;

#[test]
fn plain_attention() {
    compare("plain.safetensors", 1);
}

#[test]
fn experts_in_the_projections_of_attention() {
    compare("moe_msa.safetensors", 3);
}

fn compare(file: &str, attention_experts: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/parity")
        .join(file);
    let bytes = std::fs::read(path).unwrap();
    let peer = Peer(SafeTensors::deserialize(&bytes).unwrap());
    let mut model = Model::new(attention_experts, &peer);
    model.load(&peer);
    let (loss, gradients, rows) = model.loss_and_gradients(&peer);
    let expected = peer.floats("loss")[0];
    assert!(
        (loss - expected).abs() <= TOLERANCE * expected.abs(),
        "loss {loss}, PyTorch {expected}"
    );
    let names = model.parameters.iter().map(|parameter| parameter.name());
    for (name, gradient) in names.zip(gradients.parameters()) {
        assert_close(
            name,
            gradient.unwrap(),
            &peer.floats(&format!("gradient.{name}")),
        );
    }
    let mut dense = vec![0.0; model.table.rows() * model.table.dim()];
    let used = gradients.rows().next().flatten().unwrap();
    for (&row, gradient) in rows.iter().zip(used.chunks(model.table.dim())) {
        dense[row as usize * gradient.len()..][..gradient.len()].copy_from_slice(gradient);
    }
    assert_close("id", &dense, &peer.floats("gradient.id"));
}

/// Differences are measured by the largest value of the peer's gradient.
fn assert_close(name: &str, ours: &[f32], peers: &[f32]) {
    assert_eq!(ours.len(), peers.len(), "{name}");
    let scale = peers
        .iter()
        .fold(0f32, |scale, value| scale.max(value.abs()));
    assert!(
        scale > 0.0,
        "{name}: PyTorch's gradient is zero, which shows nothing"
    );
    for (i, (our, peer)) in ours.iter().zip(peers).enumerate() {
        assert!(
            (our - peer).abs() <= TOLERANCE * scale,
            "gradient of {name}, value {i}: {our}, PyTorch {peer}, scale {scale}"
        );
    }
}

/// The peer's file.
struct Peer<'a>(SafeTensors<'a>);

impl Peer<'_> {
    fn floats(&self, name: &str) -> Vec<f32> {
        self.values(name, f32::from_le_bytes)
    }

    fn integers(&self, name: &str) -> Vec<u32> {
        self.values(name, u32::from_le_bytes)
    }

    fn values<V>(&self, name: &str, from: fn([u8; 4]) -> V) -> Vec<V> {
        let tensor = self.0.tensor(name).unwrap();
        let (values, rest) = tensor.data().as_chunks();
        assert!(rest.is_empty(), "{name}");
        values.iter().map(|&bytes| from(bytes)).collect()
    }

    fn shape(&self, name: &str) -> Vec<usize> {
        self.0.tensor(name).unwrap().shape().to_vec()
    }
}

struct Model {
    parameters: Parameters<Cpu>,
    encoder: Encoder,
    heads: Vec<Linear>,
    table: Table,
}

impl Model {
    fn new(attention_experts: usize, peer: &Peer) -> Self {
        let categories = ["category0", "category1"].map(|name| {
            let shape = peer.shape(&format!("weight.mfp.table.{name}"));
            TableSize {
                name: name.to_owned(),
                rows: shape[0],
                dim: shape[1],
            }
        });
        let id = peer.shape("weight.id");
        let config = EncoderConfig {
            mfp: MfpConfig {
                categories: categories.to_vec(),
                ids: vec![id[1]],
                dense: 3,
                maskable: vec![0, 2],
                deviation: 1.0,
                width: WIDTH,
            },
            width: WIDTH,
            heads: 2,
            layers: 2,
            inner: 12,
            experts: 4,
            attention_experts,
            ffns: 2,
            jitter: 0.0,
            moe: MoeOptions::default(),
            dropout: 0.0,
            positions: peer.shape("weight.position")[0],
        };
        let mut parameters = Parameters::new(Cpu::default(), 0);
        let encoder = Encoder::new(&mut parameters, &config).unwrap();
        let head = |(i, table): (usize, &TableSize)| {
            let name = format!("head.{i}");
            Linear::new(&mut parameters, &name, Group::Towers, WIDTH, table.rows).unwrap()
        };
        let heads = categories.iter().enumerate().map(head).collect();
        Self {
            encoder,
            heads,
            table: Table::new("id", id[0], id[1], 1.0, RowOptimizer::LazyAdam, 0).unwrap(),
            parameters,
        }
    }

    /// Takes the peer's weights.
    fn load(&mut self, peer: &Peer) {
        let names: Vec<_> = self
            .parameters
            .iter()
            .map(|parameter| (parameter.name().to_owned(), parameter.shape().to_vec()))
            .collect();
        for (name, shape) in names {
            let weight = format!("weight.{name}");
            assert_eq!(peer.shape(&weight), shape, "{name}");
            self.parameters.set(&name, &peer.floats(&weight)).unwrap();
        }
        self.table.set_values(&peer.floats("weight.id")).unwrap();
    }

    /// Of the peer's batch; and the rows of the id table that it uses.
    fn loss_and_gradients(&self, peer: &Peer) -> (f32, HostGradients, Arc<[u32]>) {
        let device = self.parameters.device();
        let lengths = peer.integers("batch.lengths");
        let lengths: Vec<usize> = lengths.into_iter().map(|length| length as usize).collect();
        let offsets = Offsets::from_lengths(&lengths).unwrap();
        let codes = peer.integers("batch.codes");
        let codes: Vec<&[u32]> = codes.chunks(offsets.rows()).collect();
        let rows = self.table.gather(device, codes[2]).unwrap();
        let hidden = peer.integers("batch.hidden");
        let dense = self.encoder.mfp().dense_input(
            peer.floats("batch.dense").into(),
            hidden.into_iter().map(|hidden| hidden == 1).collect(),
        );
        let positions: Vec<u32> = lengths.iter().flat_map(|&n| (0..n as u32).rev()).collect();
        let input = EncoderInput {
            channels: MfpInput {
                categories: &[codes[0].into(), codes[1].into()],
                ids: &[&rows],
                dense: &dense,
            },
            positions: &positions,
            offsets: &offsets,
        };
        let mut tape = OwnedTape::default();
        let mode = Mode::Train { key: 0 };
        let encoded = self
            .encoder
            .forward(&self.parameters, &input, mode, &mut tape)
            .unwrap();
        let picked: Arc<[u32]> = peer.integers("batch.picked").into();
        let x = ops::gather_rows(&encoded.hidden, &picked, &mut tape).unwrap();
        let mut losses = Vec::new();
        for (head, codes) in self.heads.iter().zip(&codes) {
            let targets: Vec<u32> = picked.iter().map(|&row| codes[row as usize]).collect();
            let logits = head.forward(&self.parameters, &x, &mut tape).unwrap();
            losses.push(ops::cross_entropy(&logits, &targets, &mut tape).unwrap());
        }
        let mut terms: Vec<_> = losses.iter().map(|loss| (loss, 1.0)).collect();
        terms.push((&encoded.balance, BALANCE_WEIGHT));
        let loss = ops::sum(device, &terms, &mut tape).unwrap();
        let value = read_scalar(&loss);
        let mut gradients = ops::backward(loss, tape).unwrap();
        let rates = LearningRates::all(1.0);
        let tables = [(&self.table, &rows)];
        let taken = HostGradients::take(&self.parameters, &tables, &mut gradients, &rates).unwrap();
        (value, taken, rows.rows)
    }
}
