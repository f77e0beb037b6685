//! Neural building blocks on dfdx: operations, layers, optimizers, parameters.
