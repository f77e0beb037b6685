//! The configurations by name, as the programs of both sides read them.

use serde_json::{Map, Value};

use crate::command::{self, TaskError};

/// An epoch of fine-tuning on the retail data; it has sizes of its own.
const RETAIL: &str = "retail";

pub struct Configuration {
    pub name: String,
    sizes: Map<String, Value>,
}

impl Configuration {
    pub fn is_retail(&self) -> bool {
        self.name == RETAIL
    }

    /// Whether it needs only sizes that any peer has.
    pub fn is_plain(&self) -> bool {
        ["attention_experts", "ragged"]
            .iter()
            .all(|key| !self.sizes.contains_key(*key))
    }

    /// `{"d_model": 128, "sparse": true}` as `--d-model=128 --sparse`.
    pub fn flags(&self) -> Vec<String> {
        let flag = |(key, value): (&String, &Value)| {
            let name = key.replace('_', "-");
            match value {
                Value::Bool(true) => format!("--{name}"),
                Value::String(text) => format!("--{name}={text}"),
                other => format!("--{name}={other}"),
            }
        };
        self.sizes.iter().map(flag).collect()
    }
}

/// Those of the given names; of no names, all. `retail` trains only.
pub fn chosen(names: &[String], inference: bool) -> Result<Vec<Configuration>, TaskError> {
    let path = command::root().join("xtask/peers/train/configurations.json");
    let place = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(TaskError::io(&place))?;
    let mut all: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| TaskError::Other(format!("{place}: {error}")))?;
    if !inference {
        all.insert(RETAIL.to_owned(), Value::Object(Map::new()));
    }
    if let Some(unknown) = names.iter().find(|name| !all.contains_key(*name)) {
        let known: Vec<_> = all.keys().map(String::as_str).collect();
        return Err(TaskError::Other(format!(
            "there is no configuration {unknown:?}; there are: {}",
            known.join(", ")
        )));
    }
    all.retain(|name, _| names.is_empty() || names.contains(name));
    let configuration = |(name, sizes)| match sizes {
        Value::Object(sizes) => Ok(Configuration { name, sizes }),
        other => Err(TaskError::Other(format!(
            "{place}: expected an object of sizes for {name}, found {other}"
        ))),
    };
    all.into_iter().map(configuration).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_become_flags() {
        let ids = chosen(&["ids".to_owned()], false).unwrap().remove(0);
        assert_eq!(ids.flags(), ["--id=2x1000000", "--sparse"]);
        assert!(ids.is_plain());
        assert!(!chosen(&["ragged".to_owned()], false).unwrap()[0].is_plain());
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let error = chosen(&["tall".to_owned()], true)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("tall") && error.contains("small"), "{error}");
        assert!(!error.contains(RETAIL), "{error}");
    }
}
