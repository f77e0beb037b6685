//! What a user writes for a run (`latest`, an id, the beginning of one) and for a cell of it.

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

/// Which of `labels` (`finetune[model=ple,seed=1]`) is meant: a label, a stage that has one cell,
/// or a stage with so many of its axes that one cell is left.
pub fn choose_cell(labels: &[String], wanted: &str) -> Result<usize, Failure> {
    let found = matching_cells(labels, wanted);
    match found.as_slice() {
        [index] => Ok(*index),
        [] => Err(no_cell(labels, wanted).into()),
        several => {
            let shown: Vec<&str> = several
                .iter()
                .take(6)
                .map(|index| labels[*index].as_str())
                .collect();
            let more = several.len().saturating_sub(shown.len());
            let mut help = format!("Write one of them in quotes: '{}'", shown.join("', '"));
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
pub fn choose_cells(labels: &[String], wanted: &str) -> Result<Vec<usize>, Failure> {
    let found = matching_cells(labels, wanted);
    if found.is_empty() {
        return Err(no_cell(labels, wanted).into());
    }
    Ok(found)
}

fn no_cell(labels: &[String], wanted: &str) -> Problem {
    let mut stages: Vec<&str> = labels.iter().map(|label| parts(label).0).collect();
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

fn matching_cells(labels: &[String], wanted: &str) -> Vec<usize> {
    if let Some(index) = labels.iter().position(|label| label == wanted) {
        return vec![index];
    }
    let (stage, axes) = parts(wanted);
    (0..labels.len())
        .filter(|index| {
            let (its_stage, its_axes) = parts(&labels[*index]);
            its_stage == stage && axes.iter().all(|axis| its_axes.contains(axis))
        })
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

    fn labels() -> Vec<String> {
        [
            "prepare",
            "train[model=a,seed=1]",
            "train[model=a,seed=2]",
            "train[model=b,seed=1]",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn a_cell_is_found_by_as_much_as_makes_it_unique() {
        let cells = labels();
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
    }

    #[test]
    fn quoting_keeps_a_label_one_word() {
        assert_eq!(quoted("prepare"), "prepare");
        assert_eq!(quoted("train[model=a]"), "'train[model=a]'");
        assert_eq!(quoted("train[q=it's]"), r"'train[q=it'\''s]'");
    }
}
