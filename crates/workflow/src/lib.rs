//! YAML text to a checked workflow and its graph of stages.
