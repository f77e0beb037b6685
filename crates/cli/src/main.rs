//! The supermoe command.
fn main() {}
