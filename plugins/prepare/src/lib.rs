//! Plugin: events to a dataset of channels, samples and labels.
