//! Runs a graph of stages: keys, cache decisions, slots, workers, retries, journal.
