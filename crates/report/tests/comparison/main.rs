//! Comparisons of made-up runs: what they hold, what they refuse, and how they read.

mod against;
mod formats;
mod made_up;
mod refused;
mod table;
