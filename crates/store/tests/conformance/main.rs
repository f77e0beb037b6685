//! One suite for every kind of store: a local folder, and S3 over HTTP.

mod artifacts;
mod checkpoints;
mod damage;
mod failures;
mod fetching;
mod garbage;
mod index;
mod journal;
mod place;
mod results;
mod s3_server;
