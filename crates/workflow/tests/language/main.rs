//! The workflow language as its users meet it: what compiles, to what, and what is said of
//! everything that does not.

mod expressions;
mod fixture;
mod inputs;
mod matrices;
mod messages;
mod overrides;
mod performance_shape;
mod properties;
mod schema;
mod stages;
mod variants;
