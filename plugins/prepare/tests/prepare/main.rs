//! `prepare` as a user of it sees it: tables in, a dataset folder out.

mod bad_input;
mod derived_channels;
mod fitted_input;
mod label_kinds;
mod no_leak;
mod plugin;
mod profile_and_codes;
mod retail;
mod small_tables;
mod support;
mod text_sources;
mod warnings;
