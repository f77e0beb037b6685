//! How the objects of a store are called.

use crate::digest::{Digest, RunId, StageKey};

/// Where blobs and trees stand: the store's own, or those of one attempt's checkpoints.
#[derive(Debug, Clone)]
pub(crate) enum Area {
    Store,
    /// Names here are long already: half of a digest's digits do.
    Checkpoint {
        folder: String,
        sequence: u64,
    },
}

impl Area {
    pub(crate) fn blob(&self, digest: &Digest) -> String {
        match self {
            Area::Store => blob(digest),
            Area::Checkpoint { folder, .. } => format!("{folder}/blobs/{}", mark(digest)),
        }
    }

    pub(crate) fn tree(&self, digest: &Digest) -> String {
        match self {
            Area::Store => tree(digest),
            Area::Checkpoint { folder, sequence } => {
                format!("{folder}/{sequence:06}-{}", mark(digest))
            }
        }
    }
}

/// The first half of a digest's digits: enough to tell the states of one stage apart.
pub(crate) fn mark(digest: &Digest) -> String {
    let mut mark = digest.to_string();
    mark.truncate(32);
    mark
}

/// Says which format the store has.
pub(crate) const FORMAT: &str = "format.json";

pub(crate) fn blob(digest: &Digest) -> String {
    let digest = digest.to_string();
    format!("blobs/{}/{digest}", &digest[..2])
}

pub(crate) fn tree(digest: &Digest) -> String {
    format!("trees/{digest}")
}

pub(crate) fn result(key: &StageKey) -> String {
    format!("results/{key}")
}

pub(crate) fn checkpoints(key: &StageKey) -> String {
    format!("checkpoints/{key}")
}

pub(crate) fn run(run: &RunId) -> String {
    format!("runs/{run}")
}

pub(crate) fn pin(run: &RunId) -> String {
    format!("pins/{run}")
}

/// A part of a name from any text: what is unusual is replaced, and the text's own digest keeps
/// it apart from others.
pub(crate) fn part_of(text: &str) -> String {
    const LONGEST: usize = 80;
    let usual = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let is_usual = text.len() <= LONGEST
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(usual);
    if is_usual {
        return text.to_owned();
    }
    let readable: String = text
        .chars()
        .take(LONGEST)
        .map(|letter| if usual(letter) { letter } else { '_' })
        .collect();
    format!(
        "{}--{}",
        readable.trim_start_matches('.'),
        &Digest::of(text.as_bytes()).to_string()[..10]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_safe_and_distinct() {
        assert_eq!(part_of("prepare"), "prepare");
        let cell = part_of("finetune[model=ple,seed=1]");
        assert!(cell.starts_with("finetune_model_ple_seed_1_--"), "{cell}");
        assert_ne!(cell, part_of("finetune[model=ple;seed=1]"));
        for text in ["..", ".", "", "a/b", "/", "é", &"x".repeat(5000), "-"] {
            let part = part_of(text);
            assert!(
                !part.contains('/')
                    && !part.is_empty()
                    && part.len() < 128
                    && !part.starts_with('.'),
                "{part}"
            );
        }
    }
}
