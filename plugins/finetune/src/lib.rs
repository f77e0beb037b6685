//! Plugin: multi-task fine-tuning.
