//! An example plugin.
fn main() {}
