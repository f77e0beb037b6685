//! What a user writes for a run (`latest`, an id, the beginning of one) and for a cell of it.

use supermoe_engine::RunRecord;
use supermoe_store::{RunId, Store};

use crate::failure::{Failure, Problem};
use crate::project::store_failed;

/// The shortest beginning of an id that is looked up.
const SHORTEST_PREFIX: usize = 4;

/// Finds the run that is meant.
pub async fn find_run(store: &Store, wanted: &str) -> Result<RunId, Failure> {
    let runs = store.list_runs().await.map_err(store_failed)?;
    if runs.is_empty() {
        return Err(Problem::input(
            "supermoe::cli::run",
            format!("There are no runs in {}", store.url()),
        )
        .help("Run a workflow first, or say where its runs are with --project or --store")
        .into());
    }
    choose_run(&runs, wanted).map_err(Failure::from)
}

/// `runs` are sorted from the newest.
fn choose_run(runs: &[RunId], wanted: &str) -> Result<RunId, Problem> {
    if wanted == "latest" {
        return runs
            .first()
            .copied()
            .ok_or_else(|| Problem::input("supermoe::cli::run", "There are no runs"));
    }
    let prefix = wanted.to_ascii_uppercase();
    let found: Vec<&RunId> = runs
        .iter()
        .filter(|run| run.to_string().starts_with(&prefix))
        .collect();
    match found.as_slice() {
        [run] if prefix.len() >= SHORTEST_PREFIX => Ok(**run),
        [_] => Err(Problem::input(
            "supermoe::cli::run",
            format!("`{wanted}` is too short for a run"),
        )
        .help(format!(
            "Write at least {SHORTEST_PREFIX} characters of its id, or `latest`"
        ))),
        [] => Err(
            Problem::input("supermoe::cli::run", format!("No run is named `{wanted}`"))
                .help("`supermoe runs` lists them; `latest` is the newest"),
        ),
        several => {
            let shown: Vec<String> = several.iter().take(5).map(ToString::to_string).collect();
            Err(Problem::input(
                "supermoe::cli::run",
                format!("{} runs begin with `{wanted}`", several.len()),
            )
            .help(format!("Write more of the id: {}", shown.join(", "))))
        }
    }
}

/// A cell of a run by its names.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownCell {
    /// As the workflow spells it: `finetune[model=ple,seed=1]`, `train[m="x y"]`.
    pub label: String,
    /// With values as JSON writes them: `train[m=x y]`.
    json_spelling: String,
}

impl KnownCell {
    /// The cells that ended, in the order of the record, and after them those that run.
    pub fn of_run(record: &RunRecord) -> Vec<KnownCell> {
        let ended = record.stages.iter().map(|stage| KnownCell {
            label: stage.label.to_string(),
            json_spelling: stage.cell().json_spelling(),
        });
        let running = record.running.iter().map(|label| KnownCell {
            label: label.clone(),
            json_spelling: label.clone(),
        });
        ended.chain(running).collect()
    }

    fn is_named(&self, wanted: &str) -> bool {
        self.label == wanted || self.json_spelling == wanted
    }

    fn is_taken_in(&self, stage: &str, axes: &[&str]) -> bool {
        [&self.label, &self.json_spelling].into_iter().any(|name| {
            let (its_stage, its_axes) = parts(name);
            its_stage == stage && axes.iter().all(|axis| its_axes.contains(axis))
        })
    }
}

/// Which of `cells` is meant: by its name, by a stage that has one cell, or by a stage with so
/// many of its axes that one cell is left.
pub fn choose_cell(cells: &[KnownCell], wanted: &str) -> Result<usize, Failure> {
    let found = matching_cells(cells, wanted);
    match found.as_slice() {
        [index] => Ok(*index),
        [] => Err(no_cell(cells, wanted).into()),
        several => {
            let shown: Vec<String> = several
                .iter()
                .take(6)
                .map(|index| quoted(&cells[*index].label))
                .collect();
            let more = several.len().saturating_sub(shown.len());
            let mut help = format!("Write one of them in quotes: {}", shown.join(", "));
            if more > 0 {
                help.push_str(&format!(" … and {more} more"));
            }
            Err(Problem::input(
                "supermoe::cli::stage",
                format!("`{wanted}` has {} cells", several.len()),
            )
            .help(help)
            .into())
        }
    }
}

/// All cells that `wanted` takes in: none is an error too.
pub fn choose_cells(cells: &[KnownCell], wanted: &str) -> Result<Vec<usize>, Failure> {
    let found = matching_cells(cells, wanted);
    if found.is_empty() {
        return Err(no_cell(cells, wanted).into());
    }
    Ok(found)
}

fn no_cell(cells: &[KnownCell], wanted: &str) -> Problem {
    let mut stages: Vec<&str> = cells.iter().map(|cell| parts(&cell.label).0).collect();
    stages.dedup();
    let shown = stages.len().min(12);
    let mut help = format!("Its stages are {}", stages[..shown].join(", "));
    if shown < stages.len() {
        help.push_str(&format!(" … and {} more", stages.len() - shown));
    }
    Problem::input(
        "supermoe::cli::stage",
        format!("The run has no stage `{wanted}`"),
    )
    .help(help)
}

fn matching_cells(cells: &[KnownCell], wanted: &str) -> Vec<usize> {
    let by_label = cells.iter().position(|cell| cell.label == wanted);
    if let Some(index) = by_label.or_else(|| cells.iter().position(|cell| cell.is_named(wanted))) {
        return vec![index];
    }
    let (stage, axes) = parts(wanted);
    (0..cells.len())
        .filter(|index| cells[*index].is_taken_in(stage, &axes))
        .collect()
}

/// `finetune[model=ple,seed=1]` -> `finetune`, [`model=ple`, `seed=1`].
fn parts(label: &str) -> (&str, Vec<&str>) {
    match label.split_once('[') {
        Some((stage, rest)) => (
            stage,
            rest.strip_suffix(']')
                .unwrap_or(rest)
                .split(',')
                .map(str::trim)
                .filter(|axis| !axis.is_empty())
                .collect(),
        ),
        None => (label, Vec::new()),
    }
}

/// A cell's label as one word of a shell command.
pub fn quoted(label: &str) -> String {
    let plain = label
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-./:".contains(c));
    if plain && !label.is_empty() {
        label.to_owned()
    } else {
        format!("'{}'", label.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(texts: &[&str]) -> Vec<RunId> {
        texts
            .iter()
            .map(|text| text.parse().expect("a ULID"))
            .collect()
    }

    const NEW: &str = "01JDH7Z0000000000000000002";
    const OLD: &str = "01JDH7Z0000000000000000001";
    const OTHER: &str = "01JCAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn latest_is_the_newest_and_prefixes_must_be_unique() {
        let all = runs(&[NEW, OLD, OTHER]);
        let found = |wanted: &str| choose_run(&all, wanted).map(|run| run.to_string());
        assert_eq!(found("latest").ok().as_deref(), Some(NEW));
        assert_eq!(found(OLD).ok().as_deref(), Some(OLD));
        assert_eq!(found("01jc").ok().as_deref(), Some(OTHER));
        assert!(found("01JD").is_err());
        assert!(found("0").is_err());
        assert!(found("zzzz").is_err());
    }

    fn cells() -> Vec<KnownCell> {
        [
            ("prepare", "prepare"),
            ("train[model=a,seed=1]", "train[model=a,seed=1]"),
            ("train[model=a,seed=2]", "train[model=a,seed=2]"),
            ("train[model=b,seed=1]", "train[model=b,seed=1]"),
            (r#"odd[m="x y"]"#, "odd[m=x y]"),
            ("odd[m={n:p,k:5}]", r#"odd[m={"n":"p","k":5}]"#),
            ("odd[m=1.10]", "odd[m=1.1]"),
        ]
        .map(|(label, json_spelling)| KnownCell {
            label: label.to_owned(),
            json_spelling: json_spelling.to_owned(),
        })
        .to_vec()
    }

    #[test]
    fn a_cell_is_found_by_as_much_as_makes_it_unique() {
        let cells = cells();
        let found = |wanted: &str| choose_cell(&cells, wanted).ok();
        assert_eq!(found("prepare"), Some(0));
        assert_eq!(found("train[model=a,seed=2]"), Some(2));
        assert_eq!(found("train[seed=2]"), Some(2));
        assert_eq!(found("train[seed=1,model=b]"), Some(3));
        assert_eq!(found("train"), None);
        assert_eq!(found("train[seed=9]"), None);
        assert_eq!(
            choose_cells(&cells, "train[model=a]").ok(),
            Some(vec![1, 2])
        );
        for (index, cell) in cells.iter().enumerate() {
            assert_eq!(found(&cell.label), Some(index));
            assert_eq!(found(&cell.json_spelling), Some(index));
        }
    }

    #[test]
    fn quoting_keeps_a_label_one_word() {
        assert_eq!(quoted("prepare"), "prepare");
        assert_eq!(quoted("train[model=a]"), "'train[model=a]'");
        assert_eq!(quoted("train[q=it's]"), r"'train[q=it'\''s]'");
    }
}
