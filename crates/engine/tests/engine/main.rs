//! Whole runs of small workflows with real processes on a store in a temporary folder.

mod caching;
mod explaining;
mod inputs_by_url;
mod project;
mod random_graphs;
mod running;
