//! `with` of an `abtest` stage.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::AbtestError;

/// What the log's columns mean, and what is to be known of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Column that says who was in the experiment. Rows of one user are added up.
    #[serde(default = "default_user")]
    pub user: String,
    /// Column that says which bucket the user was in.
    #[serde(default = "default_bucket")]
    pub bucket: String,
    /// The bucket that all others are compared with.
    #[serde(default = "default_control")]
    pub control: String,
    /// What is compared, by name.
    #[schemars(extend("minProperties" = 1, "examples" = [{
        "gmv": { "mean": "gmv", "pre": "gmv_before" },
        "conversion": { "ratio": { "numerator": "orders", "denominator": "pv" } },
    }]))]
    pub metrics: IndexMap<String, MetricParams>,
    /// The planned share of users by bucket, in any unit; nothing: equal shares.
    #[serde(default)]
    pub shares: IndexMap<String, f64>,
    /// Of the confidence intervals.
    #[serde(default = "default_confidence")]
    #[schemars(range(min = 0.5, max = 0.9999))]
    pub confidence: f64,
    /// How p-values are corrected where several buckets are compared with the control in one metric.
    #[serde(default)]
    pub correction: Correction,
    /// Shares of users that are this improbable, or more, mean that something is wrong with the experiment.
    #[serde(default = "default_sample_ratio_alpha")]
    #[schemars(range(min = 0.0, max = 0.1))]
    pub sample_ratio_alpha: f64,
    /// What stands between the fields of a text file.
    #[serde(default = "default_delimiter")]
    #[schemars(length(min = 1, max = 1))]
    pub delimiter: String,
}

/// Either a mean over users or a ratio of sums.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["mean"] }, { "required": ["ratio"] }]))]
pub struct MetricParams {
    /// Column whose mean over users is the metric; a user without events has a 0 there.
    #[serde(default)]
    pub mean: Option<String>,
    /// The sum of one column over the sum of another.
    #[serde(default)]
    pub ratio: Option<Ratio>,
    /// Column with a number of the user from before the experiment, the same in all of the user's rows,
    /// empty where there is none: it takes out of the metric what it foretells (CUPED).
    #[serde(default)]
    pub pre: Option<String>,
    /// The same, of a ratio.
    #[serde(default)]
    pub pre_ratio: Option<Ratio>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    pub numerator: String,
    pub denominator: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Holm (1979): keeps the probability of any false difference below 1 - confidence.
    #[default]
    Holm,
    /// The same with less power: each p-value times the number of buckets.
    Bonferroni,
    None,
}

/// Numerator and, of a ratio, denominator; both as names of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms<'a> {
    pub numerator: &'a str,
    pub denominator: Option<&'a str>,
}

impl<'a> Terms<'a> {
    fn of(column: Option<&'a String>, ratio: Option<&'a Ratio>) -> Option<Terms<'a>> {
        let of_ratio = |ratio: &'a Ratio| Terms {
            numerator: &ratio.numerator,
            denominator: Some(&ratio.denominator),
        };
        let of_column = |column: &'a String| Terms {
            numerator: column,
            denominator: None,
        };
        column.map(of_column).or_else(|| ratio.map(of_ratio))
    }

    pub fn columns(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        [Some(self.numerator), self.denominator]
            .into_iter()
            .flatten()
    }
}

impl MetricParams {
    /// What is measured; `check` has seen that there is something.
    pub fn terms(&self) -> Option<Terms<'_>> {
        Terms::of(self.mean.as_ref(), self.ratio.as_ref())
    }

    /// What it is adjusted by.
    pub fn pre_terms(&self) -> Option<Terms<'_>> {
        Terms::of(self.pre.as_ref(), self.pre_ratio.as_ref())
    }
}

impl Params {
    /// # Errors
    /// A param and what is wrong with it.
    pub fn check(&self) -> Result<(), AbtestError> {
        let refuse = |param: String, problem: &str| Err(AbtestError::param(param, problem));
        if self.metrics.is_empty() {
            return refuse("metrics".to_owned(), "expected at least one metric");
        }
        for (name, metric) in &self.metrics {
            let place = format!("metrics.{name}");
            if name.contains('/') {
                return refuse(
                    place,
                    "expected a name without `/`, which parts the names of figures",
                );
            }
            match (&metric.mean, &metric.ratio) {
                (None, None) => {
                    return refuse(place, "expected exactly one of `mean`, `ratio`, found none");
                }
                (Some(_), Some(_)) => {
                    return refuse(place, "expected exactly one of `mean`, `ratio`, found both");
                }
                _ => {}
            }
            if metric.pre.is_some() && metric.pre_ratio.is_some() {
                return refuse(place, "expected `pre` or `pre_ratio`, not both");
            }
        }
        for (bucket, share) in &self.shares {
            if !(*share > 0.0 && share.is_finite()) {
                let problem = format!("expected a number above 0, found {share}");
                return refuse(format!("shares.{bucket}"), &problem);
            }
        }
        if !(0.5..=0.9999).contains(&self.confidence) {
            let problem = format!(
                "expected a number from 0.5 to 0.9999, found {}",
                self.confidence
            );
            return refuse("confidence".to_owned(), &problem);
        }
        if !(0.0..=0.1).contains(&self.sample_ratio_alpha) {
            let found = self.sample_ratio_alpha;
            let problem = format!("expected a number from 0 to 0.1, found {found}");
            return refuse("sample_ratio_alpha".to_owned(), &problem);
        }
        match self.delimiter.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(()),
            _ => refuse(
                "delimiter".to_owned(),
                "expected one ASCII character such as `;` or a tab",
            ),
        }
    }

    /// Columns that add up over a user's rows, each once.
    pub fn sums(&self) -> Vec<&str> {
        let terms = self.metrics.values().filter_map(MetricParams::terms);
        each_once(terms.flat_map(|terms| terms.columns()))
    }

    /// Columns from before the experiment, each once.
    pub fn pre_columns(&self) -> Vec<&str> {
        let terms = self.metrics.values().filter_map(MetricParams::pre_terms);
        each_once(terms.flat_map(|terms| terms.columns()))
    }
}

fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn default_user() -> String {
    "user".to_owned()
}

fn default_bucket() -> String {
    "bucket".to_owned()
}

fn default_control() -> String {
    "control".to_owned()
}

fn default_confidence() -> f64 {
    0.95
}

/// Where Fabijan et al. (Diagnosing sample ratio mismatch, KDD 2019) and most platforms draw the line.
fn default_sample_ratio_alpha() -> f64 {
    0.001
}

fn default_delimiter() -> String {
    ",".to_owned()
}
