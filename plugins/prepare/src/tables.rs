//! Input ports as tables of the SQL.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::{FutureExt, StreamExt};
use indexmap::IndexMap;
use supermoe_channels::BadRows;

use crate::error::PrepareError;
use crate::files::{Input, TableFile};
use crate::params::Params;
use crate::reporter::Reporter;
use crate::source::Source;
use crate::sql_error;
use crate::text::table::{TextTable, text_table};

/// Makes each port a table of its name; the files of a port form one table. Tells the rows of each
/// port that are left out.
///
/// # Errors
/// A port without files, an empty file, files of several formats or with columns or types that differ,
/// rows that cannot be read where they are errors.
pub async fn register(
    context: &SessionContext,
    inputs: &[Input],
    params: &Params,
    reporter: &dyn Reporter,
) -> Result<IndexMap<String, BadRows>, PrepareError> {
    if inputs.is_empty() {
        return Err(PrepareError::param(
            "inputs",
            "none given; prepare needs at least one table",
        ));
    }
    let unknown = |port: &&String| !inputs.iter().any(|input| input.port == **port);
    if let Some(port) = params.sources.keys().find(unknown) {
        let ports = inputs.iter().map(|input| input.port.as_str());
        let problem = supermoe_sql::missing("input port", port, ports);
        return Err(PrepareError::param(format!("with.sources.{port}"), problem));
    }
    let mut bad_rows = IndexMap::new();
    for input in inputs {
        let files = input.files()?;
        let table: Arc<dyn TableProvider> = match source(input, &files, params)? {
            Source::Parquet => {
                let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
                match parquet_table(context, &paths).await {
                    Ok(table) => Arc::new(table),
                    Err(error) => {
                        check_columns(context, input, &files).await?;
                        return Err(input.problem(sql_error::message(&error)));
                    }
                }
            }
            Source::Text(style) => {
                let TextTable {
                    table,
                    bad_rows: bad,
                } = text_table(input, &files, &style, reporter)?;
                if bad.count > 0 {
                    bad_rows.insert(input.port.clone(), bad);
                }
                Arc::new(table)
            }
        };
        let name = TableReference::bare(input.port.as_str());
        let registered = context.register_table(name, table);
        registered.map_err(|error| input.problem(error.strip_backtrace()))?;
    }
    Ok(bad_rows)
}

fn source(input: &Input, files: &[TableFile], params: &Params) -> Result<Source, PrepareError> {
    let of_port = params.sources.get(&input.port).cloned().unwrap_or_default();
    Source::of(input, files, &of_port, &params.time)
}

/// Looks at each Parquet file alone.
///
/// # Errors
/// The first file that cannot be read, or whose columns have other types than the first file's.
async fn check_columns(
    context: &SessionContext,
    input: &Input,
    files: &[TableFile],
) -> Result<(), PrepareError> {
    let mut first = None;
    for file in files {
        let alone = parquet_table(context, &[&file.path]).await;
        let schema = alone
            .map_err(|error| input.problem_in(file, sql_error::message(&error)))?
            .schema();
        let Some((other, first)) = &first else {
            first = Some((schema, file));
            continue;
        };
        let differs = other.fields().iter().find_map(|field| {
            let there = field.data_type();
            let here = schema.field_with_name(field.name()).ok()?.data_type();
            (here != there).then(|| (field.name(), here.clone(), there))
        });
        if let Some((name, here, there)) = differs {
            let problem = format!(
                "its column `{name}` is {here}, that of {} {there}",
                first.place
            );
            return Err(input.problem_in(file, problem));
        }
    }
    Ok(())
}

/// Reads every Parquet file to its end, alone, to find the one at which a query has failed.
pub async fn faulty_file(
    context: &SessionContext,
    inputs: &[Input],
    params: &Params,
) -> Option<PrepareError> {
    for input in inputs {
        let files = input.files().ok()?;
        let Ok(Source::Parquet) = source(input, &files, params) else {
            continue;
        };
        for file in &files {
            let read = AssertUnwindSafe(read_all(context, &file.path)).catch_unwind();
            match read.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Some(input.problem_in(file, sql_error::message(&error))),
                Err(_) => {
                    let problem = "it is damaged: its Parquet metadata contradict themselves";
                    return Some(input.problem_in(file, problem));
                }
            }
        }
    }
    None
}

async fn read_all(context: &SessionContext, file: &Path) -> Result<(), DataFusionError> {
    let table = parquet_table(context, &[file]).await?;
    let mut batches = context
        .read_table(Arc::new(table))?
        .execute_stream()
        .await?;
    while let Some(batch) = batches.next().await {
        batch?;
    }
    Ok(())
}

async fn parquet_table(
    context: &SessionContext,
    files: &[&Path],
) -> Result<ListingTable, DataFusionError> {
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension("");
    let urls = files
        .iter()
        .map(|file| url(file))
        .collect::<Result<Vec<_>, _>>()?;
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options);
    ListingTable::try_new(config.infer_schema(&context.state()).await?)
}

/// As a URL, so that no character of the path means anything.
fn url(file: &Path) -> Result<ListingTableUrl, DataFusionError> {
    let path = std::path::absolute(file)?;
    let mut url = "file://".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                url.push(char::from(byte))
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    ListingTableUrl::parse(url)
}
