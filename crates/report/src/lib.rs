//! Tables of a run, made from its journal.
