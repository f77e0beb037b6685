//! Which epoch was the best on validation, and whether to go on.

/// Follows the validation score of each epoch; higher is better.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopping {
    /// Stop after this many epochs in a row without a better score; `None`: never.
    patience: Option<u64>,
    best: Option<(u64, f64)>,
}

/// What an epoch's score means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The weights of this epoch are the best so far: keep them.
    pub best: bool,
    /// Train no further.
    pub stop: bool,
}

impl EarlyStopping {
    pub fn new(patience: Option<u64>) -> EarlyStopping {
        EarlyStopping {
            patience,
            best: None,
        }
    }

    /// Goes on from a checkpoint.
    pub fn resume(patience: Option<u64>, best: Option<(u64, f64)>) -> EarlyStopping {
        EarlyStopping { patience, best }
    }

    /// The best epoch, counted from 0, and its score.
    pub fn best(&self) -> Option<(u64, f64)> {
        self.best
    }

    /// An epoch ended. Without a score (no validation samples) the newest epoch counts as the best.
    pub fn epoch(&mut self, epoch: u64, score: Option<f64>) -> Verdict {
        let Some(score) = score.filter(|score| !score.is_nan()) else {
            return Verdict {
                best: self.best.is_none(),
                stop: false,
            };
        };
        if self.best.is_none_or(|(_, best)| score > best) {
            self.best = Some((epoch, score));
            return Verdict {
                best: true,
                stop: false,
            };
        }
        let since = self.best.map_or(0, |(best_epoch, _)| epoch - best_epoch);
        Verdict {
            best: false,
            stop: self.patience.is_some_and(|patience| since >= patience),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_best_and_stops_after_patience() {
        let mut early = EarlyStopping::new(Some(2));
        assert_eq!(
            early.epoch(0, Some(0.6)),
            Verdict {
                best: true,
                stop: false
            }
        );
        assert_eq!(
            early.epoch(1, Some(0.7)),
            Verdict {
                best: true,
                stop: false
            }
        );
        assert_eq!(
            early.epoch(2, Some(0.7)),
            Verdict {
                best: false,
                stop: false
            }
        );
        assert_eq!(
            early.epoch(3, Some(0.65)),
            Verdict {
                best: false,
                stop: true
            }
        );
        assert_eq!(early.best(), Some((1, 0.7)));
    }

    #[test]
    fn without_scores_the_newest_epoch_is_the_best_and_nothing_stops() {
        let mut early = EarlyStopping::new(Some(1));
        for epoch in 0..5 {
            assert_eq!(
                early.epoch(epoch, None),
                Verdict {
                    best: true,
                    stop: false
                }
            );
        }
        assert_eq!(
            early.epoch(5, Some(f64::NAN)),
            Verdict {
                best: true,
                stop: false
            }
        );
    }

    #[test]
    fn resumes_where_it_was() {
        let mut early = EarlyStopping::resume(Some(1), Some((3, 0.9)));
        assert_eq!(
            early.epoch(4, Some(0.8)),
            Verdict {
                best: false,
                stop: true
            }
        );
    }
}
