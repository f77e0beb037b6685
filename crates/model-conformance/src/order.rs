//! Whether a model tells events from the same ones in another order, or at other times.

use supermoe_channels::Dataset;

use crate::stage::{Listener, ModelUnderTest, Stage, with};
use crate::tiny_retail;

/// What a score may differ by where only the order of a sum has changed.
const ROUNDING: f64 = 1e-5;
const ENTITIES: u32 = 30;

/// Whether the scores of a model that has been trained for some steps change where the two oldest events of each
/// entity exchange a value.
pub fn order_matters(model: &ModelUnderTest) -> bool {
    Trained::new(model).notices(&tiny_retail::reordered(ENTITIES))
}

/// Which changes of the times of events, and of nothing else, change the scores of such a model.
#[derive(Debug, PartialEq, Eq)]
pub struct TimesNoticed {
    /// The oldest event is longer ago.
    pub of_the_oldest_event: bool,
    /// The two oldest events exchange how long ago they are.
    pub between_events: bool,
}

impl TimesNoticed {
    /// Which event was when matters.
    pub const OF_EACH_EVENT: Self = Self {
        of_the_oldest_event: true,
        between_events: true,
    };
    /// How long ago events are matters, and not which of them.
    pub const IN_THEIR_MEAN_ALONE: Self = Self {
        of_the_oldest_event: true,
        between_events: false,
    };
}

/// See [`TimesNoticed`]; the newest event keeps its time.
pub fn times_noticed(model: &ModelUnderTest) -> TimesNoticed {
    let trained = Trained::new(model);
    let notices =
        |change: fn(&mut [f32])| trained.notices(&tiny_retail::with_recencies(ENTITIES, change));
    TimesNoticed {
        of_the_oldest_event: notices(|older| older[0] += 1.0),
        between_events: notices(|older| {
            if older.len() > 1 {
                older.swap(0, 1);
            }
        }),
    }
}

/// A model after some steps, and its scores.
struct Trained {
    stage: Stage,
    scores: Vec<f64>,
}

impl Trained {
    fn new(model: &ModelUnderTest) -> Trained {
        let (stage, dataset) = (model.stage(), tiny_retail::dataset(ENTITIES));
        let params = with(model.finetune_params(), "max_steps", 10);
        stage
            .finetune(&dataset, &params, None, &mut Listener::default())
            .unwrap();
        let scores = scores(&stage, &dataset);
        Trained { stage, scores }
    }

    /// Whether it scores the same samples otherwise here.
    fn notices(&self, changed: &Dataset) -> bool {
        let scores = scores(&self.stage, changed);
        assert_eq!(scores.len(), self.scores.len());
        let mut pairs = scores.iter().zip(&self.scores);
        pairs.any(|(first, second)| (first - second).abs() > ROUNDING)
    }
}

fn scores(stage: &Stage, dataset: &Dataset) -> Vec<f64> {
    stage.predict(dataset, &mut Listener::default()).unwrap();
    let rows = stage.predictions_in("predicted");
    rows.iter().map(|row| row.score).collect()
}
