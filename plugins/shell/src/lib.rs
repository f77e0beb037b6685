//! Plugin: a command run by sh.
