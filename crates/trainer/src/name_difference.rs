//! Which names of a dataset are not those that a model was trained on, in words.

use supermoe_plugin::listed::first_of;

/// Names that a message lists.
const SHOWN: usize = 8;

/// How the names of a dataset, `here`, differ from those of a training, `there`; `what` they are of, in the plural.
pub struct NameDifference<'a> {
    what: &'a str,
    there: Vec<&'a str>,
    here: Vec<&'a str>,
}

impl<'a> NameDifference<'a> {
    /// None where they are the same, in the same order.
    pub fn of(what: &'a str, there: Vec<&'a str>, here: Vec<&'a str>) -> Option<Self> {
        (there != here).then_some(Self { what, there, here })
    }

    /// Whether such a name stands on one side alone.
    pub fn any(&self, such: impl Fn(&str) -> bool) -> bool {
        let mut names = self.only_there().chain(self.only_here());
        names.any(such)
    }

    /// ``it was trained with the channels `country`, which the dataset does not have``
    pub fn text(&self) -> String {
        let what = self.what;
        let quoted = |names: &[&str]| {
            let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            first_of(&quoted, SHOWN)
        };
        let (gone, new): (Vec<&str>, Vec<&str>) =
            (self.only_there().collect(), self.only_here().collect());
        match (gone.is_empty(), new.is_empty()) {
            (true, true) => format!(
                "it was trained with the {what} in another order ({}; the dataset has {})",
                quoted(&self.there),
                quoted(&self.here)
            ),
            (false, true) => format!(
                "it was trained with the {what} {}, which the dataset does not have",
                quoted(&gone)
            ),
            (true, false) => format!(
                "it was trained without the {what} {}, which the dataset has",
                quoted(&new)
            ),
            (false, false) => format!(
                "it was trained with the {what} {}, and the dataset has {} instead",
                quoted(&gone),
                quoted(&new)
            ),
        }
    }

    fn only_there(&self) -> impl Iterator<Item = &'a str> {
        let names = self.there.iter().copied();
        names.filter(|name| !self.here.contains(name))
    }

    fn only_here(&self) -> impl Iterator<Item = &'a str> {
        let names = self.here.iter().copied();
        names.filter(|name| !self.there.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_and_nothing_else() {
        let told = |there: &[&'static str], here: &[&'static str]| {
            let found = NameDifference::of("channels", there.to_vec(), here.to_vec());
            found.map(|found| found.text())
        };
        assert_eq!(told(&["a", "b"], &["a", "b"]), None);
        for (there, here, text) in [
            (
                &["a", "b"][..],
                &["a"][..],
                "with the channels `b`, which the dataset does not have",
            ),
            (
                &["a"],
                &["a", "b"],
                "without the channels `b`, which the dataset has",
            ),
            (
                &["a", "b"],
                &["a", "c"],
                "with the channels `b`, and the dataset has `c` instead",
            ),
            (
                &["a", "b"],
                &["b", "a"],
                "with the channels in another order (`a`, `b`; the dataset has `b`, `a`)",
            ),
        ] {
            assert_eq!(told(there, here), Some(format!("it was trained {text}")));
        }
    }

    #[test]
    fn of_many_names_the_first_are_shown() {
        let many: Vec<String> = (0..20).map(|i| format!("c{i}")).collect();
        let many = many.iter().map(String::as_str).collect();
        let text = NameDifference::of("channels", many, Vec::new())
            .unwrap()
            .text();
        assert!(text.contains("`c7` and 12 more, which"), "{text}");
    }
}
