//! The data model: channel schema, vocabularies, packed sequence batches.
