//! The right name that is nearest to a wrong one.

/// More names than this are not compared: a list so long is made by a program.
const MOST_COMPARED: usize = 20_000;

/// The candidate that was most likely meant, if any is near enough.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_lowercase();
    let length = name.chars().count();
    if length > 100 {
        return None;
    }
    candidates
        .into_iter()
        .take(MOST_COMPARED)
        .filter(|candidate| candidate.len() <= 200)
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let most = (length.max(lower.chars().count()) / 3).max(1);
            let begins = length >= 3
                && (lower.starts_with(&name) || (lower.len() >= 3 && name.starts_with(&lower)));
            let same_but_signs = squeezed(&lower) == squeezed(&name);
            if lower.len().abs_diff(name.len()) > most * 4 && !begins {
                return None;
            }
            let distance = strsim::damerau_levenshtein(&name, &lower);
            // A single letter is near to every other.
            let near = same_but_signs || begins || (distance <= most && length > 1);
            near.then_some((if same_but_signs { 0 } else { distance }, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn squeezed(name: &str) -> String {
    name.chars()
        .filter(|letter| letter.is_alphanumeric())
        .collect()
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
