//! A port's text files as one table, read as often as queries ask for it.

use std::fmt;
use std::io;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use supermoe_channels::BadRows;

use crate::error::PrepareError;
use crate::files::{Input, TableFile};
use crate::reporter::Reporter;
use crate::session::BATCH_ROWS;
use crate::source::TextStyle;
use crate::source_params::ColumnType;
use crate::text::cell_type::{ColumnBuilder, data_type, fits};
use crate::text::characters;
use crate::text::first_pass::FirstPass;
use crate::text::rows::{CellKind, Next, Row, Rows};

/// What a first pass has found.
pub struct TextTable {
    pub table: StreamingTable,
    pub bad_rows: BadRows,
}

/// # Errors
/// A file that cannot be read, a header that is none, columns that differ from file to file, bad rows
/// where they are errors or too many.
pub fn text_table(
    input: &Input,
    files: &[TableFile],
    style: &TextStyle,
    reporter: &dyn Reporter,
) -> Result<TextTable, PrepareError> {
    let FirstPass {
        columns,
        candidates,
        bad_rows,
        ..
    } = FirstPass::over(input, files, style, reporter)?;
    if let Some(name) = style
        .params
        .types
        .keys()
        .find(|name| !columns.contains(name))
    {
        let problem = format!("there is no such column; there are {}", columns.join(", "));
        let param = format!("with.sources.{}.types.{name}", input.port);
        return Err(PrepareError::param(param, problem));
    }
    let types: Vec<Option<ColumnType>> = columns
        .iter()
        .zip(&candidates)
        .map(|(name, candidates)| style.declared(name).or_else(|| candidates.column_type()))
        .collect();
    let fields = columns.iter().zip(&types);
    let fields = fields.map(|(name, of)| Field::new(name, data_type(*of), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let partitions = files.iter().map(|file| -> Arc<dyn PartitionStream> {
        Arc::new(TextFile {
            file: file.clone(),
            port: input.port.clone(),
            style: style.clone(),
            columns: columns.clone(),
            types: types.clone(),
            schema: schema.clone(),
        })
    });
    let table = StreamingTable::try_new(schema.clone(), partitions.collect());
    Ok(TextTable {
        table: table.map_err(|error| input.problem(error.strip_backtrace()))?,
        bad_rows,
    })
}

/// One file, read batch by batch; bad rows are passed over.
struct TextFile {
    file: TableFile,
    port: String,
    style: TextStyle,
    columns: Vec<String>,
    types: Vec<Option<ColumnType>>,
    schema: SchemaRef,
}

impl fmt::Debug for TextFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of input {}", self.file.place, self.port)
    }
}

impl PartitionStream for TextFile {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let failed = |error: io::Error, port: &str, place: &str| {
            let problem = format!("input `{port}` ({place}): {}", unreadable(&error));
            DataFusionError::Execution(problem)
        };
        let (port, place) = (self.port.clone(), self.file.place.clone());
        let batches: Box<dyn Iterator<Item = Result<RecordBatch, DataFusionError>> + Send> =
            match start(&self.file, &self.style, &self.columns) {
                Err(error) => Box::new(std::iter::once(Err(failed(error, &port, &place)))),
                Ok(rows) => {
                    let batches = TextBatches {
                        rows,
                        style: self.style.clone(),
                        columns: self.columns.clone(),
                        types: self.types.clone(),
                        schema: self.schema.clone(),
                        ended: false,
                    };
                    Box::new(
                        batches
                            .map(move |batch| batch.map_err(|error| failed(error, &port, &place))),
                    )
                }
            };
        let stream = futures::stream::iter(batches);
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream))
    }
}

struct TextBatches {
    rows: Rows,
    style: TextStyle,
    columns: Vec<String>,
    types: Vec<Option<ColumnType>>,
    schema: SchemaRef,
    ended: bool,
}

impl Iterator for TextBatches {
    type Item = io::Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.batch();
        match &batch {
            Ok(batch) if batch.num_rows() > 0 => {}
            Ok(_) => return None,
            Err(_) => self.ended = true,
        }
        Some(batch)
    }
}

impl TextBatches {
    fn batch(&mut self) -> io::Result<RecordBatch> {
        let types = self.types.iter();
        let mut builders: Vec<ColumnBuilder> = types.map(|of| ColumnBuilder::new(*of)).collect();
        let mut row = Row::default();
        let mut count = 0;
        while count < BATCH_ROWS {
            match self.rows.next(&mut row)? {
                Next::End => {
                    self.ended = true;
                    break;
                }
                Next::Bad(_) => continue,
                Next::Row => {}
            }
            if wrong_cell(&row, &self.columns, &self.style).is_some() {
                continue;
            }
            for (column, builder) in builders.iter_mut().enumerate() {
                let (text, kind) = row.cell(column);
                builder.push(text, kind, &self.style.times);
            }
            count += 1;
        }
        let columns = builders.iter_mut().map(ColumnBuilder::finish).collect();
        RecordBatch::try_new(self.schema.clone(), columns).map_err(io::Error::other)
    }
}

pub fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData => error.to_string(),
        _ => format!("it cannot be read: {error}"),
    }
}

/// The first cell that is not of the type that is said of its column.
pub fn wrong_cell(row: &Row, columns: &[String], style: &TextStyle) -> Option<(usize, ColumnType)> {
    if style.params.types.is_empty() && style.time_column.is_none() {
        return None;
    }
    let declared = columns.iter().enumerate();
    let mut declared = declared.filter_map(|(i, name)| Some((i, style.declared(name)?)));
    declared.find(|(column, of)| {
        let (text, kind) = row.cell(*column);
        kind != CellKind::Null && !fits(*of, text, &style.times)
    })
}

/// A file at its first row of values.
pub fn start(file: &TableFile, style: &TextStyle, columns: &[String]) -> io::Result<Rows> {
    let input = characters::open(&file.path, style.encoding)?;
    let mut rows = Rows::new(input, style.layout, columns);
    if style.params.header.unwrap_or(true) {
        rows.skip_header()?;
    }
    Ok(rows)
}
