//! Mid-training state in a folder: whole or not there, and enough to go on to the same bytes.
//!
//! A state is a folder `state-<step>` that is renamed into place when all its files are synced; the
//! ones before it are then removed. Random numbers need no state, see `random`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use supermoe_nn::Device;
use supermoe_nn::optim::AdamW;

use crate::atomic_file::write_atomically;
use crate::error::TrainError;
use crate::history::{History, Window};
use crate::network::{Network, WeightSet, Weights};
use crate::weighting::{self, Weighting};

const STATE_PREFIX: &str = "state-";
const UNFINISHED: &str = "unfinished";
const STATE_FILE: &str = "state.json";
const WEIGHTS_FILE: &str = "weights.safetensors";
const OPTIMIZER_FILE: &str = "optimizer.safetensors";
const KEPT_FILE: &str = "kept.safetensors";

/// Where training is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// Epochs done.
    pub epoch: u64,
    /// Batches of the current epoch done.
    pub batch: u64,
    /// Steps done in all.
    pub step: u64,
    /// Nothing is left to train: the weights are the ones to keep.
    pub finished: bool,
}

/// What training changes, and how.
pub struct Learned<'a, D: Device> {
    pub network: &'a mut Network<D>,
    pub optimizer: &'a mut AdamW,
    pub weighting: &'a mut Weighting,
}

/// All that changes while training, besides [`Learned`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    pub position: Position,
    pub history: History,
    /// The best epoch and its score.
    pub best_score: Option<(u64, f64)>,
    /// The weights that are to be kept so far, where those are not the newest.
    pub kept: Option<Weights>,
    /// How many weights `kept` is the mean of, with `keep: average`.
    pub averaged: u64,
}

/// `state.json`. Floating-point numbers are kept as bits: text would have to round.
#[derive(Serialize, Deserialize)]
struct State {
    job: String,
    position: Position,
    best_score: Option<(u64, u64)>,
    has_kept: bool,
    averaged: u64,
    history: String,
    window: BTreeMap<String, (u64, u64)>,
    expert_rows: BTreeMap<String, Vec<u64>>,
    dropped_rows: BTreeMap<String, u64>,
    weighting: BTreeMap<String, Vec<u64>>,
}

/// Saves a state of `job` in `folder`.
pub fn save<D: Device>(
    folder: &Path,
    job: &str,
    progress: &Progress,
    learned: Learned<'_, D>,
) -> Result<(), TrainError> {
    let Learned {
        network,
        optimizer,
        weighting,
    } = learned;
    let place = folder.join(format!("{STATE_PREFIX}{}", progress.position.step));
    let unfinished = folder.join(UNFINISHED);
    remove(&unfinished)?;
    fs::create_dir_all(&unfinished).map_err(TrainError::io(&unfinished))?;
    network.write(&unfinished.join(WEIGHTS_FILE), WeightSet::All)?;
    optimizer.save(&unfinished.join(OPTIMIZER_FILE), &network.tables())?;
    if let Some(kept) = &progress.kept {
        let current = network.snapshot()?;
        network.restore(kept)?;
        let written = network.write(&unfinished.join(KEPT_FILE), WeightSet::All);
        network.restore(&current)?;
        written?;
    }
    let window = progress.history.window();
    let state = State {
        job: job.to_owned(),
        position: progress.position,
        best_score: progress
            .best_score
            .map(|(epoch, score)| (epoch, score.to_bits())),
        has_kept: progress.kept.is_some(),
        averaged: progress.averaged,
        history: progress.history.lines().to_owned(),
        window: window
            .values
            .iter()
            .map(|(name, &(sum, count))| (name.clone(), (sum.to_bits(), count)))
            .collect(),
        expert_rows: window.expert_rows.clone(),
        dropped_rows: window.dropped_rows.clone(),
        weighting: weighting.save().to_bits(),
    };
    let state_path = unfinished.join(STATE_FILE);
    let text =
        serde_json::to_vec(&state).map_err(|error| TrainError::io(&state_path)(error.into()))?;
    write_atomically(&state_path, &text).map_err(TrainError::io(&state_path))?;
    // The same step saved twice is the same state but for `finished`.
    remove(&place)?;
    fs::rename(&unfinished, &place).map_err(TrainError::io(&place))?;
    for (_, older) in states(folder)?
        .into_iter()
        .filter(|(_, path)| *path != place)
    {
        remove(&older)?;
    }
    Ok(())
}

/// Puts the newest state of `job` into what is learned. `None` where the folder holds none. On an error
/// everything is as it was.
pub fn load<D: Device>(
    folder: &Path,
    job: &str,
    mut learned: Learned<'_, D>,
) -> Result<Option<Progress>, TrainError> {
    let Some((_, place)) = states(folder)?.pop() else {
        return Ok(None);
    };
    let initial = learned.network.snapshot()?;
    let loaded = load_state(&place, job, &mut learned);
    if loaded.is_err() {
        learned.network.restore(&initial)?;
    }
    loaded.map(Some)
}

fn load_state<D: Device>(
    place: &Path,
    job: &str,
    learned: &mut Learned<'_, D>,
) -> Result<Progress, TrainError> {
    let path = place.join(STATE_FILE);
    let bytes = fs::read(&path).map_err(TrainError::io(&path))?;
    let state: State =
        serde_json::from_slice(&bytes).map_err(|error| TrainError::io(&path)(error.into()))?;
    if state.job != job {
        return Err(TrainError::Unsupported(
            "it is of other params or inputs".to_owned(),
        ));
    }
    let weighting = learned
        .weighting
        .resumed(&weighting::State::from_bits(state.weighting));
    let weighting = weighting.map_err(TrainError::Unsupported)?;
    let network = &mut *learned.network;
    let mut kept = None;
    if state.has_kept {
        network.read(&place.join(KEPT_FILE), WeightSet::All)?;
        kept = Some(network.snapshot()?);
    }
    network.read(&place.join(WEIGHTS_FILE), WeightSet::All)?;
    let (parameters, mut tables) = network.parts_mut();
    let path = place.join(OPTIMIZER_FILE);
    learned.optimizer.load(&path, parameters, &mut tables)?;
    *learned.weighting = weighting;
    let values = state.window.into_iter();
    let window = Window {
        values: values
            .map(|(name, (sum, count))| (name, (f64::from_bits(sum), count)))
            .collect(),
        expert_rows: state.expert_rows,
        dropped_rows: state.dropped_rows,
    };
    Ok(Progress {
        position: state.position,
        history: History::resume(state.history, window),
        best_score: state
            .best_score
            .map(|(epoch, score)| (epoch, f64::from_bits(score))),
        kept,
        averaged: state.averaged,
    })
}

/// Whole states by step, the newest last.
fn states(folder: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(TrainError::io(folder))? {
        let path = entry.map_err(TrainError::io(folder))?.path();
        let step = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix(STATE_PREFIX));
        if let Some(step) = step.and_then(|step| step.parse().ok()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

fn remove(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io(folder)(error))
        }
        _ => Ok(()),
    }
}
