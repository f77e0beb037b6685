//! The SuperMoE model.
