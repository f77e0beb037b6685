//! Plugin: masked channel prediction.
