//! A made-up experiment whose lifts are known. Users differ in how active they are, before the experiment
//! as in it, so that what they did before foretells what they do.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What is drawn.
pub struct Plan {
    pub seed: u64,
    pub users: usize,
    pub arms: &'static [Arm],
}

/// A bucket, and by what its users do more than those of a control would; 0.1 is 10 %.
pub struct Arm {
    pub name: &'static str,
    /// Of users, in parts of the sum.
    pub share: u32,
    /// More page views.
    pub page_views: f64,
    /// More orders by page view.
    pub conversion: f64,
}

/// The log in the tree: one bucket with a lift, and one without.
pub const EXAMPLE: Plan = Plan {
    seed: 20_211_111,
    users: 4000,
    arms: &[
        Arm {
            name: "control",
            share: 2,
            page_views: 0.0,
            conversion: 0.0,
        },
        Arm {
            name: "supermoe",
            share: 1,
            page_views: 0.12,
            conversion: 0.15,
        },
        Arm {
            name: "placebo",
            share: 1,
            page_views: 0.0,
            conversion: 0.0,
        },
    ],
};

/// One user; amounts in pounds.
pub struct User {
    pub bucket: usize,
    pub page_views: f64,
    pub orders: f64,
    pub gmv: f64,
    pub page_views_before: f64,
    pub orders_before: f64,
    pub gmv_before: f64,
}

/// The mean of a user's page views in the experiment, and in as long a time before it.
const PAGE_VIEWS: f64 = 6.0;
/// Orders by page view.
const CONVERSION: f64 = 0.12;

pub fn users(plan: &Plan) -> Vec<User> {
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(plan.seed));
    let shares: u32 = plan.arms.iter().map(|arm| arm.share).sum();
    let users = (0..plan.users).map(|_| {
        let mut place = draw.below(shares);
        let bucket = plan.arms.iter().position(|arm| {
            let is_here = place < arm.share;
            place = place.saturating_sub(arm.share);
            is_here
        });
        user(&mut draw, plan.arms, bucket.unwrap_or(0))
    });
    users.collect()
}

fn user(draw: &mut Draw, arms: &[Arm], bucket: usize) -> User {
    let arm = &arms[bucket];
    // Log-normal with mean 1.
    let activity = (0.7 * draw.normal() - 0.245).exp();
    let views_before = draw.poisson(PAGE_VIEWS * activity);
    let views = draw.poisson(PAGE_VIEWS * activity * (1.0 + arm.page_views));
    let orders_before = draw.binomial(views_before, CONVERSION);
    let orders = draw.binomial(views, CONVERSION * (1.0 + arm.conversion));
    User {
        bucket,
        page_views: f64::from(views),
        orders: f64::from(orders),
        gmv: draw.amount(orders),
        page_views_before: f64::from(views_before),
        orders_before: f64::from(orders_before),
        gmv_before: draw.amount(orders_before),
    }
}

pub fn csv(plan: &Plan) -> String {
    let mut text = String::from("user,bucket,pv,orders,gmv,pv_before,orders_before,gmv_before\n");
    for (number, user) in users(plan).iter().enumerate() {
        text.push_str(&format!(
            "u{number:04},{},{},{},{},{},{},{}\n",
            plan.arms[user.bucket].name,
            user.page_views,
            user.orders,
            user.gmv,
            user.page_views_before,
            user.orders_before,
            user.gmv_before
        ));
    }
    text
}

struct Draw(ChaCha8Rng);

impl Draw {
    /// In (0, 1).
    fn unit(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.unit() * f64::from(bound)) as u32
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// By waiting times.
    fn poisson(&mut self, mean: f64) -> u32 {
        let (mut count, mut passed) = (0, -self.unit().ln());
        while passed < mean {
            count += 1;
            passed -= self.unit().ln();
        }
        count
    }

    fn binomial(&mut self, trials: u32, probability: f64) -> u32 {
        (0..trials)
            .map(|_| u32::from(self.unit() < probability))
            .sum()
    }

    /// Of so many orders, log-normal with median 20, in whole pence.
    fn amount(&mut self, orders: u32) -> f64 {
        let pounds: f64 = (0..orders)
            .map(|_| 20.0 * (0.6 * self.normal()).exp())
            .sum();
        // A sum of nothing is -0.
        (pounds * 100.0).round() / 100.0 + 0.0
    }
}
