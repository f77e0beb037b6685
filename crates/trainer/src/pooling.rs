//! How the steps of a sequence become one vector.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_nn::{Device, Error, Matrix, Offsets, Tape, ops};

/// How the steps of a sequence become one embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The largest value over the steps, the snapshot step among them (eq. 8).
    #[default]
    Max,
    /// The mean over the steps, the snapshot step among them.
    Mean,
    /// The snapshot step alone, which is the last.
    Last,
}

impl Pooling {
    /// [B, d] from the steps of all samples, [N, d].
    pub(crate) fn apply<D: Device, T: Tape<f32, D>>(
        self,
        steps: &Matrix<D>,
        offsets: &Offsets,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        match self {
            Pooling::Max => ops::segment_max(steps, offsets, tape),
            Pooling::Mean => ops::segment_mean(steps, offsets, tape),
            Pooling::Last => {
                let last: Arc<[u32]> = offsets.ranges().map(|rows| rows.end as u32 - 1).collect();
                ops::gather_rows(steps, &last, tape)
            }
        }
    }
}
