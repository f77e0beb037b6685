//! A first glance at a workflow's text: which name and store it probably has, before it is parsed.

/// What the first lines of a workflow seem to say. Never more than a guess: the text may be wrong,
/// and `--set` or an expression may say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'t> {
    pub name: &'t str,
    /// None: the default.
    pub store: Option<&'t str>,
}

impl<'t> Head<'t> {
    /// None where name or store are written in a way that only a parser understands.
    pub fn glance(text: &'t str) -> Option<Head<'t>> {
        let mut name = None;
        let mut store = None;
        for line in text.lines().take_while(|line| !line.starts_with("stages:")) {
            if let Some(value) = line.strip_prefix("name:") {
                name = Some(plain(value)?);
            } else if let Some(value) = line.strip_prefix("store:") {
                store = Some(plain(value)?);
            }
        }
        name.map(|name| Head { name, store })
    }
}

/// A plain scalar on one line.
fn plain(value: &str) -> Option<&str> {
    let value = value.split_once(" #").map_or(value, |(value, _)| value);
    let value = value.trim();
    let usual = |letter: char| letter.is_ascii_alphanumeric() || "._-/:".contains(letter);
    (!value.is_empty() && value.chars().all(usual)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_head_is_seen() {
        let head =
            Head::glance("# retail\nname: retail   # ours\nstore: out/store\nstages:\n  a: {}\n");
        let expected = Head {
            name: "retail",
            store: Some("out/store"),
        };
        assert_eq!(head, Some(expected));
        assert_eq!(Head::glance("name: a\n").and_then(|head| head.store), None);
    }

    #[test]
    fn what_needs_a_parser_is_left_to_it() {
        for text in [
            "",
            "stages: {}\nname: late\n",
            "name: \"quoted\"\n",
            "name:\n  folded\n",
            "name: a\nstore: ${{ env.STORE || 'x' }}\n",
            "{ name: a }",
            "name: *alias\n",
        ] {
            assert_eq!(Head::glance(text), None, "{text}");
        }
    }
}
