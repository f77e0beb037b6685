//! The right name that is nearest to a wrong one.

/// More names than this are not compared: a list so long is made by a program.
const MOST_COMPARED: usize = 2_000;

/// The candidate that was most likely meant, if any is near enough.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = Spelling::new(name);
    if wrong.length > 100 {
        return None;
    }
    candidates
        .into_iter()
        .take(MOST_COMPARED)
        .filter(|candidate| candidate.len() <= 200)
        .filter_map(|candidate| Some((wrong.distance(candidate)?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A wrong name, ready to be compared with many right ones.
struct Spelling<'n> {
    name: &'n str,
    /// Characters of the name.
    length: usize,
    counts: [u8; 32],
}

impl<'n> Spelling<'n> {
    fn new(name: &'n str) -> Self {
        Spelling {
            name,
            length: name.chars().count(),
            counts: counts(name),
        }
    }

    /// How far a right name is from this wrong one; none where it is too far to be meant. Upper
    /// and lower case, `_` and `-` make no difference.
    fn distance(&self, right: &str) -> Option<usize> {
        let begins = self.length >= 3
            && (begins_with(right, self.name)
                || (right.len() >= 3 && begins_with(self.name, right)));
        let most = (self.length.max(right.chars().count()) / 3).max(1);
        if !begins && self.least_edits(right) > most {
            return None;
        }
        let (wrong, right) = (plain(self.name), plain(right));
        let distance = strsim::osa_distance(&wrong, &right);
        // A single letter is near to every other.
        (begins || distance == 0 || (self.length > 1 && distance <= most)).then_some(distance)
    }

    /// A number of edits that is certainly needed: an edit changes at most one letter to another,
    /// and a letter has at most four bytes.
    fn least_edits(&self, right: &str) -> usize {
        let (mut more, mut less) = (0, 0);
        for (ours, theirs) in self.counts.iter().zip(counts(right)) {
            more += usize::from(ours.saturating_sub(theirs));
            less += usize::from(theirs.saturating_sub(*ours));
        }
        more.max(less) / 4usize.pow(u32::from(!(self.name.is_ascii() && right.is_ascii())))
    }
}

/// How often each letter and digit stands in a name, by its last five bits.
fn counts(name: &str) -> [u8; 32] {
    let mut counts = [0u8; 32];
    for byte in name.bytes().filter(|byte| !byte.is_ascii_punctuation()) {
        let count = &mut counts[usize::from(byte & 31)];
        *count = count.saturating_add(1);
    }
    counts
}

fn begins_with(name: &str, start: &str) -> bool {
    name.get(..start.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(start))
}

/// A name in lower case and without signs; all of it where it has nothing else.
fn plain(name: &str) -> String {
    let plain: String = name
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .collect();
    if plain.is_empty() {
        name.to_owned()
    } else {
        plain
    }
}

/// What to do about an unknown name: the nearest right one, or all of them where they are few.
pub(crate) fn advice<'a>(
    name: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(nearest) = nearest(name, candidates.iter().copied()) {
        return format!("Did you mean `{nearest}`?");
    }
    listed(what, &candidates)
}

/// `Known here: a, b, c.`
pub(crate) fn listed(what: &str, candidates: &[&str]) -> String {
    const MOST_LISTED: usize = 20;
    if candidates.is_empty() {
        return format!("There is no {what} here.");
    }
    let names: Vec<String> = candidates
        .iter()
        .take(MOST_LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if candidates.len() > MOST_LISTED {
        format!(" and {} more", candidates.len() - MOST_LISTED)
    } else {
        String::new()
    };
    format!("Known here: {}{more}.", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_what_was_meant() {
        let names = ["learning_rate", "layers", "seed", "model"];
        for (wrong, right) in [
            ("learning-rate", "learning_rate"),
            ("learningRate", "learning_rate"),
            ("layer", "layers"),
            ("sede", "seed"),
            ("Model", "model"),
            ("learning", "learning_rate"),
        ] {
            assert_eq!(nearest(wrong, names), Some(right), "{wrong}");
        }
        assert_eq!(nearest("optimizer", names), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("größe", ["grösse", "höhe"]), Some("grösse"));
    }

    #[test]
    fn without_a_near_one_all_are_listed() {
        assert_eq!(
            advice("zzz", "stage", ["alpha", "beta"]),
            "Known here: `alpha`, `beta`."
        );
        assert_eq!(advice("zzz", "stage", []), "There is no stage here.");
    }
}
