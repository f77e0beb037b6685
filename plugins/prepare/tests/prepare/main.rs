//! `prepare` as a user of it sees it: tables in, a dataset folder out.

mod bad_input;
mod no_leak;
mod plugin;
mod retail;
mod small_tables;
mod support;
