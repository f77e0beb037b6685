//! The raw columns of a bucket in files of the work folder, and back again part by part.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float64Array, RecordBatch, StringArray, UInt8Array,
    UInt32Array, UInt64Array,
};
use arrow::datatypes::{
    Field, Float32Type, Float64Type, Schema, UInt8Type, UInt32Type, UInt64Type,
};

use crate::channel::RawColumn;
use crate::error::PrepareError;
use crate::samples::SampleChunk;
use crate::spill::{SpillFile, SpillWriter};
use crate::steps::StepColumns;
use crate::summary::index;

/// Steps that are written at a time.
const STEP_ROWS: usize = 64 * 1024;

/// The files of one bucket.
pub struct RawFiles {
    steps: Option<SpillFile>,
    samples: Option<SpillFile>,
    /// Batch by batch the values by sample and step of the samples' batches.
    sample_steps: Option<SpillFile>,
    entities: Option<SpillFile>,
}

/// Writes them.
pub struct RawWriter {
    work: PathBuf,
    bucket: usize,
    samples: Option<SpillWriter>,
    sample_steps: Option<SpillWriter>,
    files: RawFiles,
}

impl RawWriter {
    pub fn new(work: &Path, bucket: usize) -> Self {
        Self {
            work: work.to_owned(),
            bucket,
            samples: None,
            sample_steps: None,
            files: RawFiles {
                steps: None,
                samples: None,
                sample_steps: None,
                entities: None,
            },
        }
    }

    fn file(&self, table: &str) -> PathBuf {
        self.work.join(format!("{table}-{}.arrow", self.bucket))
    }

    pub fn append_samples(&mut self, chunk: &SampleChunk<'_>) -> Result<(), PrepareError> {
        let snapshots = chunk.windows.iter().map(|window| window.snapshot as u32);
        let entities = chunk.windows.iter().map(|window| window.entity);
        let splits = chunk.windows.iter().map(|window| index(window.split) as u8);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(snapshots)),
            Arc::new(UInt32Array::from_iter_values(entities)),
            Arc::new(UInt8Array::from_iter_values(splits)),
            Arc::new(UInt64Array::from(chunk.first_step.clone())),
            Arc::new(UInt32Array::from(chunk.steps.clone())),
            Arc::new(UInt64Array::from(chunk.window_first.clone())),
        ];
        let numbers = chunk.aggregates.iter().chain(&chunk.labels.values);
        columns
            .extend(numbers.map(|values| Arc::new(Float32Array::from(values.clone())) as ArrayRef));
        let path = self.file("samples");
        append(&mut self.samples, path, columns)?;
        let by_step = chunk.channels.iter().flatten().map(array).collect();
        let path = self.file("sample-steps");
        append(&mut self.sample_steps, path, by_step)
    }

    pub fn write_entities(
        &mut self,
        keys: &[String],
        columns: &[Option<RawColumn>],
    ) -> Result<(), PrepareError> {
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(StringArray::from_iter_values(keys))];
        arrays.extend(columns.iter().flatten().map(array));
        let mut writer = None;
        append(&mut writer, self.file("entities"), arrays)?;
        self.files.entities = writer.map(SpillWriter::finish).transpose()?;
        Ok(())
    }

    pub fn write_steps(&mut self, steps: &StepColumns) -> Result<(), PrepareError> {
        let mut writer = None;
        for start in (0..steps.len()).step_by(STEP_ROWS) {
            let rows = start..steps.len().min(start + STEP_ROWS);
            let mut columns: Vec<ArrayRef> = vec![
                Arc::new(UInt32Array::from(steps.entity[rows.clone()].to_vec())),
                Arc::new(UInt32Array::from(steps.visit[rows.clone()].to_vec())),
            ];
            for column in steps.channels.iter().flatten() {
                columns.push(part(&column.values, rows.clone()));
                let first = column.first_of_window.as_ref();
                columns.extend(first.map(|first| part(first, rows.clone())));
            }
            for sums in steps.channel_totals() {
                columns.push(Arc::new(Float64Array::from(sums[rows.clone()].to_vec())));
            }
            append(&mut writer, self.file("steps"), columns)?;
        }
        self.files.steps = writer.map(SpillWriter::finish).transpose()?;
        Ok(())
    }

    pub fn finish(mut self) -> Result<RawFiles, PrepareError> {
        self.files.samples = self.samples.map(SpillWriter::finish).transpose()?;
        self.files.sample_steps = self.sample_steps.map(SpillWriter::finish).transpose()?;
        Ok(self.files)
    }
}

/// Makes the file with the first batch; a batch without columns is passed over.
fn append(
    writer: &mut Option<SpillWriter>,
    path: PathBuf,
    columns: Vec<ArrayRef>,
) -> Result<(), PrepareError> {
    if columns.is_empty() {
        return Ok(());
    }
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| Field::new(i.to_string(), column.data_type().clone(), false))
        .collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(PrepareError::arrow("set columns aside"))?;
    let writer = match writer {
        Some(writer) => writer,
        None => writer.insert(SpillWriter::create(path, &batch.schema())?),
    };
    writer.append(&batch)
}

fn array(column: &RawColumn) -> ArrayRef {
    match column {
        RawColumn::Codes(codes) => Arc::new(UInt32Array::from(codes.clone())),
        RawColumn::Numbers(numbers) => Arc::new(Float32Array::from(numbers.clone())),
    }
}

fn part(column: &RawColumn, rows: std::ops::Range<usize>) -> ArrayRef {
    match column {
        RawColumn::Codes(codes) => Arc::new(UInt32Array::from(codes[rows].to_vec())),
        RawColumn::Numbers(numbers) => Arc::new(Float32Array::from(numbers[rows].to_vec())),
    }
}

/// The columns of a batch, taken one after another in the order in which they were written.
pub struct RawBatch {
    batch: RecordBatch,
    next: usize,
}

impl RawBatch {
    fn new(batch: RecordBatch) -> Self {
        Self { batch, next: 0 }
    }

    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// # Panics
    /// If fewer columns were written, or others; so do the methods below.
    fn column(&mut self) -> &ArrayRef {
        self.next += 1;
        self.batch.column(self.next - 1)
    }

    pub fn bytes(&mut self) -> Vec<u8> {
        self.column().as_primitive::<UInt8Type>().values().to_vec()
    }

    pub fn codes(&mut self) -> Vec<u32> {
        self.column().as_primitive::<UInt32Type>().values().to_vec()
    }

    pub fn indices(&mut self) -> Vec<u64> {
        self.column().as_primitive::<UInt64Type>().values().to_vec()
    }

    pub fn numbers(&mut self) -> Vec<f32> {
        self.column()
            .as_primitive::<Float32Type>()
            .values()
            .to_vec()
    }

    pub fn sums(&mut self) -> Vec<f64> {
        self.column()
            .as_primitive::<Float64Type>()
            .values()
            .to_vec()
    }

    pub fn texts(&mut self) -> Vec<String> {
        let texts = self.column().as_string::<i32>();
        texts
            .iter()
            .map(|text| text.unwrap_or_default().to_owned())
            .collect()
    }
}

impl RawFiles {
    pub fn steps(&self) -> Result<Batches<'_>, PrepareError> {
        batches(&self.steps)
    }

    pub fn samples(&self) -> Result<Batches<'_>, PrepareError> {
        batches(&self.samples)
    }

    /// As many batches as samples have, or none.
    pub fn sample_steps(&self) -> Result<Batches<'_>, PrepareError> {
        batches(&self.sample_steps)
    }

    pub fn entities(&self) -> Result<Batches<'_>, PrepareError> {
        batches(&self.entities)
    }
}

pub type Batches<'a> = Box<dyn Iterator<Item = Result<RawBatch, PrepareError>> + 'a>;

fn batches(file: &Option<SpillFile>) -> Result<Batches<'_>, PrepareError> {
    match file {
        Some(file) => Ok(Box::new(file.read()?.map(|batch| batch.map(RawBatch::new)))),
        None => Ok(Box::new(std::iter::empty())),
    }
}
