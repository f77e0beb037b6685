//! The loss of a head with sampled softmax, against a plain computation.

use supermoe_nn::layers::Mode;
use supermoe_nn::tables::RowOptimizer;
use supermoe_nn::{Cpu, read_scalar};

use super::*;
use crate::model::{Encoded, Encoder, Model, Representation};
use crate::model_input::ModelInput;
use crate::network::NetworkValues;
use crate::random::{Purpose, stream};

const WIDTH: usize = 4;
const CLASSES: u32 = 200;
const SAMPLES: usize = 20;

/// Heads are given their hidden states here.
struct NoEncoder;

impl<D: Device> Encoder<D> for NoEncoder {
    fn encode<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        _input: &ModelInput,
        _mode: Mode,
        _tape: &mut T,
    ) -> Result<Encoded<D>, Error> {
        let none = matrix(values.parameters.device(), vec![], 0, WIDTH)?;
        Ok(Encoded {
            representation: Representation::Steps(none),
            auxiliary: vec![],
            expert_rows: vec![],
        })
    }
}

/// A head with sampled softmax on a channel of codes.
fn sampled_head(hashed: bool) -> (Network<Cpu>, Head) {
    let channel = PredictedChannel {
        name: "product".to_owned(),
        place: Place::Codes {
            index: 0,
            classes: (FIRST_CODE + CLASSES) as usize,
            hashed,
        },
        totals: vec![],
    };
    let sampled = SampledSoftmax {
        above: 8,
        samples: SAMPLES,
    };
    let optimizer = RowOptimizer::LazyAdam;
    Network::build(Cpu::default(), 3, optimizer, |builder| {
        let head = Head::new(&channel, &sampled, WIDTH, builder)?;
        let model: Box<dyn Model<Cpu>> = Box::new(NoEncoder);
        Ok((model, head))
    })
    .unwrap()
}

/// -ln softmax of each own class among itself and the drawn others, each logit less what `correction` says;
/// the mean.
fn plain_loss(
    table: &Table,
    hidden: &[f32],
    (classes, drawn): (&[u32], &[u32]),
    correction: impl Fn(u32) -> f64,
) -> f64 {
    let values = table.values().unwrap();
    let losses = classes.iter().zip(hidden.chunks_exact(WIDTH));
    let losses = losses.map(|(&own, hidden)| {
        let logit = |class: u32| {
            let row = &values[class as usize * (WIDTH + 1)..][..WIDTH + 1];
            let products = row.iter().zip(hidden.iter().chain(&[1.0]));
            let products = products.map(|(w, h)| f64::from(*w) * f64::from(*h));
            products.sum::<f64>() - correction(class)
        };
        let others = drawn.iter().filter(|&&class| class != own);
        let total: f64 = others.map(|&class| logit(class).exp()).sum();
        (logit(own).exp() + total).ln() - logit(own)
    });
    losses.sum::<f64>() / classes.len() as f64
}

#[test]
fn logits_of_a_sampled_softmax_are_less_the_expected_counts() {
    for (hashed, proposal) in [(false, Proposal::LogUniform), (true, Proposal::Uniform)] {
        let (network, head) = sampled_head(hashed);
        let sampler = ClassSampler {
            first: FIRST_CODE,
            classes: CLASSES,
            proposal,
        };
        let random = || stream(1, Purpose::Mask, 0, 0);
        let drawn = sampler.draw(SAMPLES, &mut random());
        // The rarest, and one that is drawn too.
        let classes = [FIRST_CODE + CLASSES - 1, FIRST_CODE + 90, drawn.classes[1]];
        let batch = head.batch(
            Targets {
                rows: vec![0, 1, 2],
                values: classes.map(Value::Class).to_vec(),
                copies: vec![None; 3],
            },
            &mut random(),
        );
        let hidden: Vec<f32> = (0..3 * WIDTH).map(|i| (i as f32).sin()).collect();
        let device = network.device();
        let rows = network
            .head_table(0)
            .gather(device, head.codes(&batch).unwrap());
        let states = matrix(device, hidden.clone(), 3, WIDTH).unwrap();
        let loss = head.loss(&network, &states, &[rows.unwrap()], &batch, &mut NoneTape);
        let loss = f64::from(read_scalar(&loss.unwrap()));

        let all = (&classes[..], &drawn.classes[..]);
        let log_count = |class| f64::from(sampler.log_count(class, drawn.draws));
        let expected = plain_loss(network.head_table(0), &hidden, all, log_count);
        assert!((loss - expected).abs() < 1e-5, "{loss}, not {expected}");
        // Where all classes are as likely, the correction of all is the same and changes nothing.
        let without = plain_loss(network.head_table(0), &hidden, all, |_| 0.0);
        assert_eq!((loss - without).abs() > 0.1, !hashed, "{loss} {without}");
    }
}
