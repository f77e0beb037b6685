//! DataFusion's errors in the words of one who writes params of `prepare`.

use datafusion::error::DataFusionError;

use crate::error::PrepareError;

/// The message of the innermost error.
pub fn message(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => format!(
            "it needs more memory than the {} MiB that a query may have: join or group fewer columns, or \
             aggregates that keep no values, such as sum and count",
            crate::session::MEMORY_BYTES >> 20
        ),
        _ => supermoe_sql::message(error),
    }
}

/// Whether a query has failed while it ran, as it does at a file that cannot be read.
pub fn while_reading(error: &PrepareError) -> bool {
    let PrepareError::Sql { error, .. } = error else {
        return false;
    };
    !matches!(
        error.find_root(),
        DataFusionError::SQL(..) | DataFusionError::SchemaError(..) | DataFusionError::Plan(_)
    )
}
