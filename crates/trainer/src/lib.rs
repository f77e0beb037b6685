//! The training loop, and the model trait that it trains.
