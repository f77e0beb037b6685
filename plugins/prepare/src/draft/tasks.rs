//! Tasks to begin with, each with both answers in the data as far as they were seen.

use crate::draft::amount::Amount;
use crate::draft::channels::{Channel, short};
use crate::draft::column_name::{identifier, sql, sql_text};
use crate::draft::guess::Guess;
use crate::draft::labels::{Events, Rate};
use crate::draft::sample::Sample;
use crate::draft::split_plan::{By, SplitPlan};

/// Words of events that matter, the most telling first.
const TELLING: [&str; 20] = [
    "purchase",
    "buy",
    "bought",
    "order",
    "checkout",
    "pay",
    "payment",
    "sale",
    "convert",
    "conversion",
    "subscribe",
    "churn",
    "cancel",
    "return",
    "refund",
    "complaint",
    "unsubscribe",
    "signup",
    "cart",
    "click",
];
/// Labels rarer than this, or as good as always true, say little.
const TELLING_SHARE: std::ops::RangeInclusive<f64> = 0.02..=0.98;
/// The share that a task should be near, where several could be asked.
const BEST_SHARE: f64 = 0.3;

#[derive(Debug, Clone)]
pub struct Task {
    pub name: String,
    pub label: String,
    /// In words, for the reader.
    pub note: String,
}

/// What tasks are made from.
pub struct Material<'a> {
    pub sample: &'a Sample,
    pub guesses: &'a [Guess<'a>],
    pub events: &'a Events,
    pub amount: Option<&'a Amount>,
    pub event_kind: Option<&'a Channel>,
}

/// The plan under which the plainest task, whether there is an event at all, says most; and the tasks.
pub fn choose(material: &Material, plans: &[SplitPlan]) -> Option<(SplitPlan, Vec<Task>)> {
    let telling = plans.iter().find(|plan| {
        let rate = active(material.events, plan);
        usable(material, plan, rate) && (0.05..=0.95).contains(&rate.share())
    });
    let usable_at_all = || {
        let mut plans = plans.iter();
        plans.find(|plan| !tasks(material, plan).is_empty())
    };
    let plan = telling.or_else(usable_at_all).or(plans.first())?;
    Some((plan.clone(), tasks(material, plan)))
}

fn active(events: &Events, plan: &SplitPlan) -> Rate {
    events.rate(plan, plan.train(), |rows| !rows.is_empty())
}

/// Whether a label has both answers in training, and there are samples everywhere.
fn usable(material: &Material, plan: &SplitPlan, rate: Rate) -> bool {
    // Of a sample the events of an entity are a part only: its rates say little.
    if !material.sample.complete {
        return true;
    }
    let fewest = match plan.by {
        By::Time { .. } => 2,
        // By chance, whoever has the rarer answer may all stand in one split.
        By::Entity { .. } => 6,
    };
    let rest: &[&[jiff::civil::Date]] = match &plan.by {
        By::Time { valid, test, .. } => &[std::slice::from_ref(valid), test],
        By::Entity { .. } => &[],
    };
    let seen =
        |dates: &&[jiff::civil::Date]| material.events.rate(plan, dates, |_| true).samples > 0;
    rate.positive >= fewest && rate.samples - rate.positive >= fewest && rest.iter().all(seen)
}

fn tasks(material: &Material, plan: &SplitPlan) -> Vec<Task> {
    let window = plan.window;
    let mut tasks = Vec::new();
    let any = active(material.events, plan);
    if usable(material, plan, any) {
        tasks.push(Task {
            name: format!("active_{window}d"),
            label: "count(*) > 0".to_owned(),
            note: format!("any event at all{}", share(material, any)),
        });
    } else {
        tasks.extend(busy(material, plan));
    }
    tasks.extend(spends(material, plan));
    tasks.extend(does(material, plan));
    tasks
}

/// Where everybody is there in every window: who has more events than most.
fn busy(material: &Material, plan: &SplitPlan) -> Option<Task> {
    let counts = material.events.windows(plan, plan.train(), <[usize]>::len);
    let middle = median(counts.into_iter().map(|count| count as f64).collect())?;
    let rate = material
        .events
        .rate(plan, plan.train(), |rows| rows.len() as f64 > middle);
    usable(material, plan, rate).then(|| Task {
        name: format!("busy_{}d", plan.window),
        label: format!("count(*) > {middle}"),
        note: format!("more events than most{}", share(material, rate)),
    })
}

fn spends(material: &Material, plan: &SplitPlan) -> Option<Task> {
    let amount = material.amount?;
    let sign = if amount.negative { -1.0 } else { 1.0 };
    let spent = |rows: &[usize]| -> f64 {
        let amounts = rows.iter().filter_map(|&row| amount.values[row]);
        amounts.map(|x| x * sign).filter(|x| *x > 0.0).sum()
    };
    let mut sums = material.events.windows(plan, plan.train(), spent);
    sums.retain(|sum| *sum > 0.0);
    let middle = rounded(median(sums)?);
    let rate = material
        .events
        .rate(plan, plan.train(), |rows| spent(rows) > middle);
    let x = &amount.sql;
    let sum = match amount.negative {
        true => format!("sum(-({x})) FILTER (WHERE {x} < 0)"),
        false => format!("sum({x}) FILTER (WHERE {x} > 0)"),
    };
    usable(material, plan, rate).then(|| Task {
        name: format!("spends_{}d", plan.window),
        label: format!("coalesce({sum}, 0) > {middle}"),
        note: format!("more than half of those who spend{}", share(material, rate)),
    })
}

fn does(material: &Material, plan: &SplitPlan) -> Option<Task> {
    let channel = material.event_kind?;
    let guess = &material.guesses[channel.column];
    let rate_of = |value: &str| {
        material.events.rate(plan, plan.train(), |rows| {
            rows.iter()
                .any(|&row| guess.column.value(row) == Some(value))
        })
    };
    let mut best: Option<(usize, f64, &str, Rate)> = None;
    for (value, _) in guess.column.real_values() {
        let rate = rate_of(value);
        let telling = !material.sample.complete || TELLING_SHARE.contains(&rate.share());
        if !telling || !usable(material, plan, rate) {
            continue;
        }
        let words = identifier(value);
        let rank = TELLING
            .iter()
            .position(|word| words.split('_').any(|part| part.starts_with(word)));
        let rank = rank.unwrap_or(TELLING.len());
        let distance = (rate.share() - BEST_SHARE).abs();
        let better = |(other_rank, other_distance, ..): &(usize, f64, &str, Rate)| {
            (rank, distance) < (*other_rank, *other_distance)
        };
        if best.as_ref().is_none_or(better) {
            best = Some((rank, distance, value, rate));
        }
    }
    let (_, _, value, rate) = best?;
    let word: String = identifier(value).chars().take(24).collect();
    let word = match word.is_empty() {
        true => "does",
        false => word.trim_matches('_'),
    };
    Some(Task {
        name: format!(
            "{}_{word}_{}d",
            channel.name.chars().take(40).collect::<String>(),
            plan.window
        ),
        label: format!(
            "count(*) FILTER (WHERE {}) > 0",
            is(guess, &channel.name, value)
        ),
        note: format!("at least one such event{}", share(material, rate)),
    })
}

/// SQL that is true of the rows with this value, whichever type the column is read as.
fn is(guess: &Guess, name: &str, value: &str) -> String {
    let column = sql(name);
    let number = guess
        .number
        .as_ref()
        .and_then(|numbers| numbers.style.parse(value));
    if let Some(number) = number {
        return format!("TRY_CAST({column} AS DOUBLE) = {number}");
    }
    match value.to_ascii_lowercase().as_str() {
        "true" | "false" => {
            let text = sql_text(&value.to_ascii_lowercase());
            format!("lower(CAST({column} AS VARCHAR)) = {text}")
        }
        _ => format!("{column} = {}", sql_text(value)),
    }
}

fn share(material: &Material, rate: Rate) -> String {
    match material.sample.complete {
        true => format!(": {:.0} % of the training samples", 100.0 * rate.share()),
        false => String::new(),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Two digits that count: a threshold to be read.
fn rounded(x: f64) -> f64 {
    let size = 10_f64.powf(x.abs().log10().floor() - 1.0);
    let round = (x / size).round() * size;
    let text = short(round);
    text.parse().ok().filter(|x: &f64| *x > 0.0).unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_have_two_digits() {
        for (x, round) in [
            (123.4, 120.0),
            (0.5678, 0.57),
            (99.9, 100.0),
            (7.0, 7.0),
            (54_321.0, 54_000.0),
        ] {
            assert_eq!(rounded(x), round);
        }
    }

    #[test]
    fn the_middle_is_a_value() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
