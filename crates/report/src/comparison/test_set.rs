//! What an evaluation tested on, as far as two of them have to agree to stand in one table.

use supermoe_store::{Digest, RunId};

use crate::content::{EvaluatedTask, Evaluation, Found};

/// The test set of a task in one evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TestSet {
    /// `evaluate of run 01JDH7Z0…`
    pub name: String,
    artifact: Digest,
    metric_version: u64,
    task: EvaluatedTask,
}

impl TestSet {
    pub(crate) fn of(run: RunId, found: &Found<Evaluation>, task: &str) -> TestSet {
        let tasks = found.content.tasks.iter();
        let known = tasks.clone().find(|known| known.name == task);
        TestSet {
            name: format!("{} of run {run}", found.cell),
            artifact: found.digest,
            metric_version: found.content.metric_version,
            task: known.cloned().unwrap_or_default(),
        }
    }

    /// Whether another evaluation can be held against this one at all.
    pub(crate) fn is_told(&self) -> bool {
        self.task.split_digest.is_some() && self.task.labels_digest.is_some()
    }

    pub(crate) fn is_same_artifact(&self, other: &TestSet) -> bool {
        self.artifact == other.artifact
    }

    /// What of `other` keeps it from being compared with this one, in words; both tell their test sets.
    pub(crate) fn difference(&self, other: &TestSet) -> Option<String> {
        if self.metric_version != other.metric_version {
            return Some(format!(
                "metrics of version {}, the other's of {}",
                other.metric_version, self.metric_version
            ));
        }
        if self.task.kind != other.task.kind {
            return Some(format!(
                "a {} task, the other's {}",
                other.task.kind.name(),
                self.task.kind.name()
            ));
        }
        if self.task.split_digest != other.task.split_digest {
            return Some(self.split(other));
        }
        (self.task.labels_digest != other.task.labels_digest).then(|| self.labels(other))
    }

    fn split(&self, other: &TestSet) -> String {
        let samples = |set: &TestSet| set.task.samples + set.task.unlabelled;
        match (samples(other), samples(self)) {
            (b, a) if a == b => {
                format!("another test split, of as many samples ({a}) but not the same ones")
            }
            (b, a) => format!("another test split, of {b} samples, the other's of {a}"),
        }
    }

    fn labels(&self, other: &TestSet) -> String {
        let labelled = |set: &TestSet| match set.task.positives {
            Some(positives) => format!("{positives} positives of {}", set.task.samples),
            None => format!("{} labelled samples", set.task.samples),
        };
        match (labelled(other), labelled(self)) {
            (b, a) if a == b => format!("other labels on the same test split ({a} in both)"),
            (b, a) => format!("other labels on the same test split: {b}, the other's {a}"),
        }
    }
}
