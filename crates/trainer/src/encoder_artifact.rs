//! The folder of a trained encoder or model: `config.json` and `weights.safetensors`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use supermoe_channels::Task;

use crate::channel_fingerprint::ChannelFingerprint;
use crate::error::TrainError;
use crate::pooling::Pooling;

/// Version of the folder's format.
const FORMAT: u32 = 2;
/// The configuration's file.
pub const CONFIG_FILE: &str = "config.json";
/// The weights' file.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// All that is needed to build the model again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactConfig {
    pub format: u32,
    /// The name of the model.
    pub model: String,
    /// The revision of the model's code.
    pub revision: String,
    /// Width of the hidden states.
    pub d_model: usize,
    /// The model's params, with all defaults.
    pub params: Map<String, Value>,
    /// The tasks of the towers; none for an encoder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Task>,
    /// How the towers pool steps.
    #[serde(default, skip_serializing_if = "is_maximum")]
    pub pooling: Pooling,
    /// What it was trained on.
    pub channels: ChannelFingerprint,
}

fn is_maximum(pooling: &Pooling) -> bool {
    *pooling == Pooling::Max
}

impl ArtifactConfig {
    pub fn new(
        model: &str,
        revision: &str,
        d_model: usize,
        params: Map<String, Value>,
        channels: ChannelFingerprint,
    ) -> ArtifactConfig {
        ArtifactConfig {
            format: FORMAT,
            model: model.to_owned(),
            revision: revision.to_owned(),
            d_model,
            params,
            tasks: Vec::new(),
            pooling: Pooling::Max,
            channels,
        }
    }

    /// Writes `config.json` into an existing folder.
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let path = folder.join(CONFIG_FILE);
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| TrainError::io(&path)(std::io::Error::from(error)))?;
        text.push('\n');
        std::fs::write(&path, text).map_err(TrainError::io(&path))
    }

    /// Reads `config.json` of a folder.
    pub fn read(folder: &Path) -> Result<ArtifactConfig, TrainError> {
        let path = folder.join(CONFIG_FILE);
        let bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
        let config: ArtifactConfig = serde_json::from_slice(&bytes).map_err(|error| {
            TrainError::Encoder(format!("{CONFIG_FILE} cannot be read: {error}"))
        })?;
        if config.format != FORMAT {
            return Err(TrainError::Encoder(format!(
                "its format is {}, and this build reads format {FORMAT}",
                config.format
            )));
        }
        Ok(config)
    }

    /// Whether weights of `self` can go on as `wanted`, whatever vocabularies and scales they were fitted to;
    /// an error says in words what differs.
    pub fn check_usable_as(
        &self,
        wanted: &ArtifactConfig,
        training_params: &[&str],
    ) -> Result<(), TrainError> {
        let refuse = |words: String| Err(TrainError::Encoder(words));
        if self.model != wanted.model {
            return refuse(format!(
                "it is of model `{}`, and this stage has `model: {}`",
                self.model, wanted.model
            ));
        }
        if self.d_model != wanted.d_model {
            return refuse(format!(
                "it was trained with `d_model` {}, and this stage has {}; give both stages the same",
                self.d_model, wanted.d_model
            ));
        }
        let names = self.params.keys().chain(wanted.params.keys());
        for name in names.filter(|name| !training_params.contains(&name.as_str())) {
            let (theirs, ours) = (self.params.get(name), wanted.params.get(name));
            if theirs != ours {
                let show =
                    |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
                return refuse(format!(
                    "it was trained with `models.{}.{name}` {}, and this stage has {}; give both stages the same",
                    self.model,
                    show(theirs),
                    show(ours)
                ));
            }
        }
        match self.channels.structural_difference(&wanted.channels) {
            Some(difference) => refuse(difference),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny_retail;

    fn config() -> ArtifactConfig {
        let channels = ChannelFingerprint::of(&tiny_retail::dataset(3));
        let params = Map::from_iter([
            ("layers".to_owned(), Value::from(2)),
            ("balance".to_owned(), Value::from(0.01)),
        ]);
        ArtifactConfig::new("supermoe", "1", 64, params, channels)
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let folder = tempfile::tempdir().unwrap();
        config().write(folder.path()).unwrap();
        assert_eq!(ArtifactConfig::read(folder.path()).unwrap(), config());
        std::fs::write(folder.path().join(CONFIG_FILE), "{\"format\": 2").unwrap();
        assert!(
            ArtifactConfig::read(folder.path())
                .unwrap_err()
                .to_string()
                .contains("config.json cannot be read")
        );
    }

    #[test]
    fn what_differs_is_told() {
        let told = |change: &dyn Fn(&mut ArtifactConfig)| {
            let mut wanted = config();
            change(&mut wanted);
            config()
                .check_usable_as(&wanted, &["balance"])
                .map_err(|error| error.to_string())
        };
        assert_eq!(told(&|_| {}), Ok(()));
        assert_eq!(
            told(&|wanted| wanted.params["balance"] = 0.0.into()),
            Ok(()),
            "a training param may differ"
        );
        assert_eq!(
            told(&|wanted| wanted.params["layers"] = 4.into()).unwrap_err(),
            "encoder: it was trained with `models.supermoe.layers` 2, and this stage has 4; give both stages the same"
        );
        assert_eq!(
            told(&|wanted| wanted.d_model = 32).unwrap_err(),
            "encoder: it was trained with `d_model` 64, and this stage has 32; give both stages the same"
        );
        assert!(
            told(&|wanted| wanted.model = "bert".into())
                .unwrap_err()
                .contains("of model `supermoe`")
        );
        let other = tiny_retail::dataset_of(3, |name| name != "country");
        let error = told(&|wanted| wanted.channels = ChannelFingerprint::of(&other)).unwrap_err();
        assert!(
            error.starts_with("encoder: it was trained with the channels `country`, which the dataset does not have"),
            "{error}"
        );
        let other = tiny_retail::dataset_with(3, |schema, _| schema.channels[3].mean += 0.5);
        assert_eq!(
            told(&|wanted| wanted.channels = ChannelFingerprint::of(&other)),
            Ok(()),
            "how a channel is scaled is no part of its structure"
        );
    }
}
