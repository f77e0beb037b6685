//! Values of axes as they are written on the command line.

use std::str::FromStr;

use supermoe_report::{written_parts, written_value};

const EXPECTED: &str = "expected an axis, `=` and a value, such as model=supermoe";

/// `model=ple`: one axis; the value may hold commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    axis: String,
    value: String,
}

impl Level {
    fn of(axis: &str, value: String) -> Result<Level, &'static str> {
        match axis.is_empty() || value.is_empty() {
            true => Err(EXPECTED),
            false => Ok(Level {
                axis: axis.to_owned(),
                value,
            }),
        }
    }

    pub fn into_pair(self) -> (String, String) {
        (self.axis, self.value)
    }
}

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Level, Self::Err> {
        let (axis, value) = text.split_once('=').ok_or(EXPECTED)?;
        Level::of(axis.trim(), value.trim().to_owned())
    }
}

/// `model=ple,layers=2`. A part without `=` belongs to the value before it, as one does whose comma is escaped
/// by a backslash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLevels(Vec<Level>);

impl NamedLevels {
    pub fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().cloned().map(Level::into_pair)
    }
}

impl FromStr for NamedLevels {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<NamedLevels, Self::Err> {
        let mut parts: Vec<String> = Vec::new();
        for part in written_parts(text) {
            match parts.last_mut().filter(|_| !part.contains('=')) {
                Some(last) => last.extend([",", part]),
                None => parts.push(part.to_owned()),
            }
        }
        let levels = parts.iter().map(|part| {
            let (axis, value) = part.split_once('=').ok_or(EXPECTED)?;
            Level::of(axis.trim(), written_value(value))
        });
        levels.collect::<Result<_, _>>().map(NamedLevels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
        let levels: NamedLevels = text.parse()?;
        Ok(levels.pairs().collect())
    }

    #[test]
    fn commas_part_axes_and_may_stand_in_values() {
        let pair = |axis: &str, value: &str| (axis.to_owned(), value.to_owned());
        assert_eq!(pairs("model=ple"), Ok(vec![pair("model", "ple")]));
        assert_eq!(
            pairs("model=ple, layers=[1,2],note=a=b"),
            Ok(vec![
                pair("model", "ple"),
                pair("layers", "[1,2]"),
                pair("note", "a=b")
            ])
        );
        assert_eq!(
            pairs(r"note=x=1\,y=2,model=ple"),
            Ok(vec![pair("note", "x=1,y=2"), pair("model", "ple")])
        );
        assert_eq!(
            pairs(r"note=\ ,seed=1"),
            Ok(vec![pair("note", " "), pair("seed", "1")])
        );
        for wrong in ["", "model", "=ple", "model=", "model=ple,=2"] {
            assert_eq!(pairs(wrong), Err(EXPECTED), "{wrong}");
        }
    }
}
