//! Two hundred made-up experiments: their intervals hold the known lifts as often as they say.

use indexmap::IndexMap;
use serde_json::json;
use statrs::distribution::{Binomial, DiscreteCDF};
use supermoe_abtest::{Experiment, LiftNumbers, Params, User, Users, analyse};

use crate::made_up::{self, Arm, Plan};
use crate::stage::all_metrics;

const DRAWS: u64 = 200;
const ARMS: &[Arm] = &[
    Arm {
        name: "control",
        share: 1,
        page_views: 0.0,
        conversion: 0.0,
    },
    Arm {
        name: "better",
        share: 1,
        page_views: 0.1,
        conversion: 0.2,
    },
    Arm {
        name: "same",
        share: 1,
        page_views: 0.0,
        conversion: 0.0,
    },
];

fn experiment(seed: u64) -> Experiment {
    let plan = Plan {
        seed,
        users: 1500,
        arms: ARMS,
    };
    let users = made_up::users(&plan)
        .into_iter()
        .enumerate()
        .map(|(number, user)| {
            let of_log = User {
                bucket: user.bucket,
                sums: vec![user.page_views, user.gmv, user.orders],
                pre: vec![user.page_views_before, user.gmv_before, user.orders_before],
            };
            (number.to_string(), of_log)
        });
    let params: Params =
        serde_json::from_value(json!({ "metrics": all_metrics() })).expect("params");
    assert_eq!(params.sums(), ["pv", "gmv", "orders"]);
    assert_eq!(
        params.pre_columns(),
        ["pv_before", "gmv_before", "orders_before"]
    );
    let users = Users {
        buckets: ARMS.iter().map(|arm| arm.name.to_owned()).collect(),
        users: users.collect(),
        rows: plan.users as u64,
        pre_names: params
            .pre_columns()
            .into_iter()
            .map(str::to_owned)
            .collect(),
    };
    analyse(&users, &params).expect("an experiment")
}

/// What holds for `DRAWS` independent events of this probability but once in ten thousand times.
fn bounds(probability: f64) -> (u64, u64) {
    let binomial = Binomial::new(probability, DRAWS).expect("a probability");
    (
        binomial.inverse_cdf(0.000_05),
        binomial.inverse_cdf(0.999_95),
    )
}

fn holds(found: &LiftNumbers, truth: f64) -> bool {
    let bounds = found.lift_interval.expect("an interval");
    bounds.low <= truth && truth <= bounds.high
}

#[test]
fn intervals_hold_the_known_lift_at_the_stated_rate() {
    // Orders follow page views, and amounts the orders.
    let truth = |metric: &str| match metric {
        "pv" => 0.1,
        "gmv" => 1.1 * 1.2 - 1.0,
        _ => 0.2,
    };
    let mut held: IndexMap<String, u64> = IndexMap::new();
    let (mut false_alarms, mut mismatches, mut smaller) = (0, 0, 0);
    for seed in 0..DRAWS {
        let experiment = experiment(seed);
        mismatches += u64::from(experiment.sample_ratio.p_value < 0.05);
        for metric in &experiment.metrics {
            let [better, same] = metric.lifts.as_slice() else {
                panic!("two lifts");
            };
            for (lift, truth) in [(better, truth(&metric.name)), (same, 0.0)] {
                let unadjusted = lift.unadjusted.expect("a pre-period");
                for (kind, found) in [("CUPED", &lift.found), ("plain", &unadjusted)] {
                    let name = format!("{} {} {kind}", metric.name, lift.bucket);
                    *held.entry(name).or_default() += u64::from(holds(found, truth));
                }
            }
            if metric.name == "pv" {
                false_alarms += u64::from(same.found.p_value.expect("a p-value") < 0.05);
                smaller += u64::from(better.variance_reduction.expect("a pre-period") > 0.4);
            }
        }
    }
    let (least, most) = bounds(0.95);
    for (name, held) in &held {
        assert!(
            (least..=most).contains(held),
            "{name}: {held} of {DRAWS}, not {least} to {most}"
        );
    }
    assert_eq!(held.len(), 12);
    let (least, most) = bounds(0.05);
    assert!((least..=most).contains(&false_alarms), "{false_alarms}");
    assert!((least..=most).contains(&mismatches), "{mismatches}");
    // What users did before foretells more than two fifths of the variance of page views.
    assert_eq!(smaller, DRAWS);
}
