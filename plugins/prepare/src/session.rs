//! DataFusion, set up so that a query gives the same rows in the same order on every machine.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use supermoe_sql::{changing_function, missing, missing_table};

use crate::error::PrepareError;

/// Rows that an operator handles at a time.
pub const BATCH_ROWS: usize = 8192;

/// What the queries of one [`runtime`] may hold in memory; sorts and groups beyond it go to the work
/// folder.
pub const MEMORY_BYTES: usize = 640 << 20;

/// Memory and folder of some queries. Each bucket has its own, so that what goes to the work folder does
/// not hang on what runs beside it.
///
/// # Errors
/// A work folder that cannot be used.
pub fn runtime(work: &Path) -> Result<Arc<RuntimeEnv>, PrepareError> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(MEMORY_BYTES)))
        .with_temp_file_path(work)
        .build_arc();
    runtime.map_err(|error| PrepareError::sql("the work folder", error))
}

/// One partition, whatever the number of cores: sums run in one order. Names are taken as they are
/// written. Work is spread over cores by running the queries of several buckets at once.
pub fn new(runtime: &Arc<RuntimeEnv>) -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROWS);
    config.options_mut().sql_parser.enable_ident_normalization = false;
    SessionContext::new_with_config_rt(config, runtime.clone())
}

/// A table of one batch under a name, in the place of the one that had it.
///
/// # Errors
/// A name that is none.
pub fn replace_table(
    context: &SessionContext,
    name: &str,
    batch: RecordBatch,
) -> Result<(), DataFusionError> {
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    replace_provider(context, name, Arc::new(table))
}

/// A table under a name, in the place of the one that had it.
///
/// # Errors
/// A name that is none.
pub fn replace_provider(
    context: &SessionContext,
    name: &str,
    table: Arc<dyn TableProvider>,
) -> Result<(), DataFusionError> {
    context.deregister_table(TableReference::bare(name))?;
    context.register_table(TableReference::bare(name), table)?;
    Ok(())
}

/// Plans a query that only reads tables, and gives the same rows whenever it runs.
///
/// # Errors
/// What DataFusion says of the query, named by `param`; statements other than queries; functions
/// such as `now()` and `random()`.
pub async fn query(
    context: &SessionContext,
    param: &str,
    sql: &str,
) -> Result<DataFrame, PrepareError> {
    let reading = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    let frame = context.sql_with_options(sql, reading).await;
    let frame = frame.map_err(|error| match missing_table(&error) {
        Some(name) => {
            let tables = tables(context);
            let known = tables.iter().map(String::as_str);
            PrepareError::param(param, missing("table", &name, known))
        }
        None => PrepareError::sql(param, error),
    })?;
    refuse_changing_functions(param, frame.logical_plan())?;
    Ok(frame)
}

/// The names of the tables that a query may read.
fn tables(context: &SessionContext) -> Vec<String> {
    let catalogs = context.catalog_names().into_iter();
    let catalogs = catalogs.filter_map(|name| context.catalog(&name));
    let mut names: Vec<String> = catalogs
        .flat_map(|catalog| {
            let schemas = catalog.schema_names().into_iter();
            let schemas: Vec<_> = schemas.filter_map(|name| catalog.schema(&name)).collect();
            schemas.into_iter().flat_map(|schema| schema.table_names())
        })
        .collect();
    names.sort_unstable();
    names
}

fn refuse_changing_functions(param: &str, plan: &LogicalPlan) -> Result<(), PrepareError> {
    let mut found = None;
    let walk = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found = found.take().or_else(|| changing_function(expr));
            Ok(if found.is_some() {
                TreeNodeRecursion::Stop
            } else {
                TreeNodeRecursion::Continue
            })
        })
    });
    walk.map_err(|error| PrepareError::sql(param, error))?;
    found.map_or(Ok(()), |name| Err(changing(param, &name)))
}

pub fn changing(param: &str, function: &str) -> PrepareError {
    let problem = format!(
        "{function}() has another value in every run; a result must follow from its inputs alone \
         (`snapshot` is the date to count from)"
    );
    PrepareError::param(param, problem)
}
