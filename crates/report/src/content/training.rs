//! The metric stream of a training stage: NDJSON, one value of one metric a line.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A series with more points is kept as the means of equal parts.
const MOST_POINTS: usize = 250;
/// Names beyond these are counted.
const MOST_SERIES: usize = 4000;

/// Metrics by step, by name: `train/loss`, `experts/0/load/3`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Training {
    pub series: IndexMap<String, Series>,
    /// Names that are not among the series.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_series: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Series {
    /// How many values were recorded; the points are their means where these are fewer.
    pub recorded: usize,
    /// Step and value.
    pub points: Vec<(f64, f64)>,
}

/// A line of the file. A value that is no number has become null.
#[derive(Deserialize)]
struct Line<'a> {
    step: u64,
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    value: Option<f64>,
}

impl Training {
    /// What can be read, and what is wrong with the rest.
    pub(crate) fn read(text: &str) -> (Training, Option<String>) {
        let mut training = Training::default();
        let mut more = std::collections::HashSet::new();
        let mut broken: Vec<(usize, String)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str::<Line<'_>>(line) {
                Ok(line) => {
                    let name = line.name.as_ref();
                    let is_known = training.series.contains_key(name);
                    if !is_known && training.series.len() == MOST_SERIES {
                        more.insert(name.to_owned());
                        continue;
                    }
                    if !is_known {
                        training.series.insert(name.to_owned(), Series::default());
                    }
                    if let (Some(series), Some(value)) = (training.series.get_mut(name), line.value)
                    {
                        series.recorded += 1;
                        series.points.push((line.step as f64, value));
                    }
                }
                Err(error) => broken.push((index + 1, error.to_string())),
            }
        }
        training.more_series = more.len();
        for series in training.series.values_mut() {
            series.thin();
        }
        let problem = broken.first().map(|(line, error)| match broken.len() {
            1 => format!("line {line} is no record: {error}"),
            count => format!("{count} lines are no records, the first is line {line}: {error}"),
        });
        (training, problem)
    }

    pub(crate) fn points(&self, name: &str) -> Option<&[(f64, f64)]> {
        let series = self.series.get(name)?;
        (!series.points.is_empty()).then_some(series.points.as_slice())
    }

    /// Series `<split>/<of>/<metric>`, by what they are of: a task or a channel.
    pub(crate) fn by_part<'a>(
        &'a self,
        split: &'a str,
        metric: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a [(f64, f64)])> {
        self.series.iter().filter_map(move |(name, series)| {
            let rest = name.strip_prefix(split)?.strip_prefix('/')?;
            let part = rest.strip_suffix(metric)?.strip_suffix('/')?;
            (!series.points.is_empty()).then_some((part, series.points.as_slice()))
        })
    }

    /// Shares of experts, `experts/<layer>/load/<expert>`, and of what was over their capacity,
    /// `experts/<layer>/dropped`, by layer.
    pub(crate) fn expert_load(&self) -> Vec<LayerLoad<'_>> {
        let mut layers: IndexMap<&str, LayerLoad<'_>> = IndexMap::new();
        for (name, series) in &self.series {
            let Some(rest) = name.strip_prefix("experts/") else {
                continue;
            };
            let expert = rest.rsplit_once("/load/");
            let expert = expert.map(|(layer, expert)| (layer, Some(expert)));
            let dropped = || Some((rest.strip_suffix("/dropped")?, None));
            let Some((layer, expert)) = expert.or_else(dropped) else {
                continue;
            };
            let points = series.points.as_slice();
            let layer = layers.entry(layer).or_insert_with(|| LayerLoad::of(layer));
            match expert {
                Some(expert) => layer.experts.push(ExpertLoad { expert, points }),
                None => layer.dropped = points.last().map(|point| point.1),
            }
        }
        let mut layers: Vec<LayerLoad<'_>> = layers.into_values().collect();
        for layer in &mut layers {
            // Names come sorted as text: 10 before 2.
            let number = |load: &ExpertLoad<'_>| load.expert.parse::<u64>().unwrap_or(u64::MAX);
            layer.experts.sort_by_key(number);
        }
        layers
    }
}

/// How the work of a layer is shared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerLoad<'a> {
    pub layer: &'a str,
    /// Sorted by their number.
    pub experts: Vec<ExpertLoad<'a>>,
    /// The share of the work that was over the experts' capacity at the end, where they have one.
    pub dropped: Option<f64>,
}

impl<'a> LayerLoad<'a> {
    fn of(layer: &'a str) -> Self {
        Self {
            layer,
            experts: Vec::new(),
            dropped: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ExpertLoad<'a> {
    pub expert: &'a str,
    /// Step and share of the layer's work.
    pub points: &'a [(f64, f64)],
}

impl Series {
    fn thin(&mut self) {
        let part = self.points.len().div_ceil(MOST_POINTS);
        if part > 1 {
            let mean = |points: &[(f64, f64)]| {
                let count = points.len() as f64;
                let (step, value) = points
                    .iter()
                    .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
                (step / count, value / count)
            };
            self.points = self.points.chunks(part).map(mean).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64, name: &str, value: &str) -> String {
        format!("{{\"step\":{step},\"epoch\":1,\"name\":\"{name}\",\"value\":{value}}}\n")
    }

    #[test]
    fn series_by_name_and_part() {
        let text = line(1, "train/loss", "0.7")
            + &line(1, "train/buy/loss", "0.9")
            + &line(2, "train/loss", "0.5")
            + &line(2, "valid/loss", "null")
            + &line(2, "experts/block.0/load/10", "0.25")
            + &line(2, "experts/block.0/load/9", "0.75")
            + &line(2, "experts/block.0/load_max", "0.75")
            + &line(1, "experts/block.0/dropped", "0.5")
            + &line(2, "experts/block.0/dropped", "0.125");
        let (training, problem) = Training::read(&text);
        assert_eq!(problem, None);
        assert_eq!(
            training.points("train/loss"),
            Some(&[(1.0, 0.7), (2.0, 0.5)][..])
        );
        assert_eq!(training.points("valid/loss"), None);
        let parts: Vec<&str> = training
            .by_part("train", "loss")
            .map(|part| part.0)
            .collect();
        assert_eq!(parts, ["buy"]);
        let load = training.expert_load();
        let experts: Vec<&str> = load[0].experts.iter().map(|load| load.expert).collect();
        assert_eq!((load.len(), load[0].layer), (1, "block.0"));
        assert_eq!(experts, ["9", "10"]);
        assert_eq!(load[0].dropped, Some(0.125));
    }

    #[test]
    fn lines_that_are_no_records_are_told_and_passed_over() {
        let text = line(1, "a", "1") + "{\"step\":\n\n" + "[]\n" + &line(2, "a", "2");
        let (training, problem) = Training::read(&text);
        assert_eq!(training.points("a").map(<[_]>::len), Some(2));
        let problem = problem.expect("two lines are broken");
        assert!(
            problem.starts_with("2 lines are no records, the first is line 2"),
            "{problem}"
        );
        let (nothing, problem) = Training::read("");
        assert_eq!((nothing, problem), (Training::default(), None));
    }

    #[test]
    fn very_long_and_very_many_series_are_bounded() {
        let mut text = String::new();
        for step in 0..3000 {
            text += &line(step, "train/loss", "1");
        }
        for name in 0..MOST_SERIES + 7 {
            text += &line(1, &format!("m{name}"), "1");
        }
        let (training, _) = Training::read(&text);
        let loss = &training.series["train/loss"];
        assert!(loss.points.len() <= MOST_POINTS && loss.recorded == 3000);
        assert_eq!(loss.points[0], (5.5, 1.0));
        assert_eq!(
            (training.series.len(), training.more_series),
            (MOST_SERIES, 8)
        );
    }
}
