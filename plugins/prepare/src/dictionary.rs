//! The values of an id or category channel within one bucket, each with a number of its own.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, UInt64Type};

use crate::error::PrepareError;
use crate::expression::texts;

/// The number of NULL.
pub const NULL: u32 = 0;

/// Values and how often each was counted.
#[derive(Debug, Default)]
pub struct Dictionary {
    numbers: HashMap<String, u32, RandomState>,
    /// By number less 1.
    values: Vec<String>,
    counts: Vec<u64>,
    /// Numbers of whole numbers, so that their text is made once.
    of_integers: HashMap<i64, u32, RandomState>,
}

impl Dictionary {
    /// The number of a value: 1 and up.
    pub fn number(&mut self, value: &str) -> u32 {
        if let Some(&number) = self.numbers.get(value) {
            return number;
        }
        self.values.push(value.to_owned());
        self.counts.push(0);
        // A bucket has at most u32::MAX rows; one that has so many distinct values fits no memory.
        let number = self.values.len() as u32;
        self.numbers.insert(value.to_owned(), number);
        number
    }

    /// Appends the numbers of all values, [`NULL`] for NULL.
    ///
    /// # Errors
    /// Values that have no text.
    pub fn append(
        &mut self,
        param: &str,
        values: &ArrayRef,
        numbers: &mut Vec<u32>,
    ) -> Result<(), PrepareError> {
        match values.data_type() {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>();
                numbers.extend(values.iter().map(|value| self.of_integer(value)));
            }
            DataType::Int32 => {
                let values = values.as_primitive::<Int32Type>().iter();
                numbers.extend(values.map(|value| self.of_integer(value.map(i64::from))));
            }
            _ => {
                let values = texts(param, values)?;
                numbers.extend(
                    values
                        .iter()
                        .map(|value| value.map_or(NULL, |value| self.number(value))),
                );
            }
        }
        Ok(())
    }

    fn of_integer(&mut self, value: Option<i64>) -> u32 {
        let Some(value) = value else {
            return NULL;
        };
        if let Some(&number) = self.of_integers.get(&value) {
            return number;
        }
        let number = self.number(&value.to_string());
        self.of_integers.insert(value, number);
        number
    }

    pub fn count(&mut self, number: u32, times: u64) {
        if let Some(count) = (number as usize)
            .checked_sub(1)
            .and_then(|index| self.counts.get_mut(index))
        {
            *count += times;
        }
    }

    /// By number less 1.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Values and counts, by number less 1.
    ///
    /// # Errors
    /// More text than one array holds.
    pub fn batch(&self) -> Result<RecordBatch, PrepareError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(&self.values)),
            Arc::new(UInt64Array::from(self.counts.clone())),
        ];
        RecordBatch::try_new(schema(), columns).map_err(PrepareError::arrow("gather the values"))
    }
}

/// The schema of [`Dictionary::batch`].
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("value", DataType::Utf8, false),
        Field::new("count", DataType::UInt64, false),
    ]))
}

/// Values and counts of a batch that [`Dictionary::batch`] has made.
pub fn entries(batch: &RecordBatch) -> impl Iterator<Item = (&str, u64)> {
    let values = batch.column(0).as_string::<i32>();
    let counts = batch.column(1).as_primitive::<UInt64Type>();
    (0..batch.num_rows()).map(|row| (values.value(row), counts.value(row)))
}
