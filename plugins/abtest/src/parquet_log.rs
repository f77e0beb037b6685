//! A log in Parquet, read batch by batch.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::columns::Columns;
use crate::error::AbtestError;
use crate::log::{Stop, finite, unreadable};
use crate::params::Params;
use crate::users::{LogRow, Users};

pub fn read(
    path: &Path,
    place: &str,
    params: &Params,
    users: &mut Users,
    stop: Stop<'_>,
) -> Result<(), AbtestError> {
    // The Parquet reader asserts some of what a damaged file may say of itself.
    let read = catch_unwind(AssertUnwindSafe(|| {
        decode(path, place, params, users, stop)
    }));
    read.unwrap_or_else(|_| {
        Err(AbtestError::log(
            place,
            "it is damaged: its Parquet metadata contradict themselves",
        ))
    })
}

fn decode(
    path: &Path,
    place: &str,
    params: &Params,
    users: &mut Users,
    stop: Stop<'_>,
) -> Result<(), AbtestError> {
    let file = File::open(path).map_err(|error| unreadable(place, &error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| unreadable(place, &error))?;
    let schema = builder.schema().clone();
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let columns =
        Columns::find(params, &names).map_err(|problem| AbtestError::log(place, problem))?;
    let reader = builder.build().map_err(|error| unreadable(place, &error))?;
    let mut before = 0;
    for batch in reader {
        let batch = batch.map_err(|error| unreadable(place, &error))?;
        if stop() {
            return Err(AbtestError::Stopped);
        }
        let rows = Rows::of(&batch, &columns, &names)
            .map_err(|problem| AbtestError::log(place, problem))?;
        for row in 0..batch.num_rows() {
            let number = before + row + 1;
            rows.add(row, users)
                .map_err(|problem| AbtestError::log(format!("{place}, row {number}"), problem))?;
        }
        before += batch.num_rows();
    }
    Ok(())
}

/// The columns of a batch: text, and numbers with their names.
struct Rows<'a> {
    user: ArrayRef,
    bucket: ArrayRef,
    sums: Vec<(ArrayRef, &'a str)>,
    pre: Vec<(ArrayRef, &'a str)>,
}

impl<'a> Rows<'a> {
    fn of(batch: &RecordBatch, columns: &Columns, names: &[&'a str]) -> Result<Rows<'a>, String> {
        let text = |place: usize| as_type(batch, place, names[place], &DataType::Utf8);
        let numbers = |places: &[usize]| -> Result<Vec<(ArrayRef, &'a str)>, String> {
            let columns = places.iter().map(|&place| {
                let numbers = as_type(batch, place, names[place], &DataType::Float64)?;
                Ok((numbers, names[place]))
            });
            columns.collect()
        };
        Ok(Rows {
            user: text(columns.user)?,
            bucket: text(columns.bucket)?,
            sums: numbers(&columns.sums)?,
            pre: numbers(&columns.pre)?,
        })
    }

    fn add(&self, row: usize, users: &mut Users) -> Result<(), String> {
        let text = |column: &'_ ArrayRef| match column.is_null(row) {
            true => String::new(),
            false => column.as_string::<i32>().value(row).to_owned(),
        };
        let sums = self
            .sums
            .iter()
            .map(|(column, name)| match column.is_null(row) {
                true => Err(format!(
                    "column `{name}` is NULL; expected a number, 0 where the user did nothing"
                )),
                false => finite(column.as_primitive::<Float64Type>().value(row), name),
            });
        let pre = self
            .pre
            .iter()
            .map(|(column, name)| match column.is_null(row) {
                true => Ok(f64::NAN),
                false => finite(column.as_primitive::<Float64Type>().value(row), name),
            });
        users.add(&LogRow {
            user: &text(&self.user),
            bucket: &text(&self.bucket),
            sums: &sums.collect::<Result<Vec<_>, _>>()?,
            pre: &pre.collect::<Result<Vec<_>, _>>()?,
        })
    }
}

fn as_type(
    batch: &RecordBatch,
    place: usize,
    name: &str,
    wanted: &DataType,
) -> Result<ArrayRef, String> {
    let column = batch.column(place);
    let found = column.data_type();
    let fits = match wanted {
        DataType::Float64 => found.is_numeric() || *found == DataType::Boolean,
        _ => !found.is_nested() && !found.is_floating(),
    };
    let expected = match wanted {
        DataType::Float64 => "a number",
        _ => "text or whole numbers",
    };
    if !fits {
        return Err(format!("column `{name}` is {found}; expected {expected}"));
    }
    cast(column, wanted).map_err(|error| format!("column `{name}`: {error}"))
}
