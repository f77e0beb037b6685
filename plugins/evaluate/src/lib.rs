//! Plugin: metrics from predictions.
