//! The program as its user runs it: one module for each thing that it does.

mod arguments;
mod bad_workflows;
mod caching;
mod check;
mod crash;
mod damage;
mod docs;
mod external_plugins;
mod failing;
mod graph;
mod harness;
mod injection;
mod looking_back;
mod matrix;
mod plan;
mod plugins;
mod run;
mod s3;
mod schemas;
mod secrets;
mod signals;
mod urls;
mod web_server;
