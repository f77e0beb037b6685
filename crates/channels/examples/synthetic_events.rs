//! Writes a Parquet file of made-up purchases in the order of their time, the same for the same
//! arguments: `synthetic_events FILE ROWS USERS ROWS_OF_ONE_USER`.

use std::error::Error;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

const ITEMS: u64 = 20_000;
const SHOPS: u64 = 200;
/// 2023-01-01 and the year after it, in seconds.
const START: u64 = 1_672_531_200;
const SECONDS: u64 = 365 * 86_400;
const BATCH_ROWS: u64 = 1 << 17;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, rows, users, of_one_user] = arguments.as_slice() else {
        return Err("expected four arguments: FILE ROWS USERS ROWS_OF_ONE_USER".into());
    };
    let purchases = Purchases {
        rows: rows.parse()?,
        users: users.parse()?,
        of_one_user: of_one_user.parse()?,
    };
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let first = purchases.batch(0..0)?;
    let mut writer = ArrowWriter::try_new(File::create(file)?, first.schema(), Some(properties))?;
    for start in (0..purchases.rows).step_by(BATCH_ROWS as usize) {
        let end = purchases.rows.min(start + BATCH_ROWS);
        writer.write(&purchases.batch(start..end)?)?;
    }
    writer.close()?;
    Ok(())
}

struct Purchases {
    rows: u64,
    users: u64,
    /// User 0 has so many more.
    of_one_user: u64,
}

impl Purchases {
    fn batch(&self, rows: std::ops::Range<u64>) -> Result<RecordBatch, Box<dyn Error>> {
        let items: Vec<u64> = rows.clone().map(item).collect();
        let users = rows.clone().map(|row| self.user(row));
        let times = rows.clone().map(|row| self.time_micros(row));
        let names = items.iter().map(|item| format!("item {item}"));
        let shops = rows.clone().map(|row| {
            let shop = skewed(row, 3, SHOPS, 2);
            format!("shop {shop}")
        });
        let prices = items.iter().map(|item| (item % 500 + 1) as f64 * 0.25);
        let quantities = rows.map(|row| match draw(row, 4) % 50 {
            0 => -1,
            other => (other % 6) as i32 + 1,
        });
        let columns: [(&str, ArrayRef); 6] = [
            ("user", Arc::new(Int64Array::from_iter_values(users))),
            (
                "time",
                Arc::new(TimestampMicrosecondArray::from_iter_values(times)),
            ),
            ("item", Arc::new(StringArray::from_iter_values(names))),
            ("shop", Arc::new(StringArray::from_iter_values(shops))),
            ("price", Arc::new(Float64Array::from_iter_values(prices))),
            (
                "quantity",
                Arc::new(Int32Array::from_iter_values(quantities)),
            ),
        ];
        Ok(RecordBatch::try_from_iter(columns)?)
    }

    fn user(&self, row: u64) -> i64 {
        let of_one_user = draw(row, 0) % self.rows.max(1) < self.of_one_user;
        match of_one_user {
            true => 0,
            // Below `users`, which is far below 2^63.
            false => skewed(row, 1, self.users, 2) as i64,
        }
    }

    /// Whole seconds, rising with the row.
    fn time_micros(&self, row: u64) -> i64 {
        let seconds = u128::from(row) * u128::from(SECONDS) / u128::from(self.rows.max(1));
        (START as i64 + seconds as i64) * 1_000_000
    }
}

fn item(row: u64) -> u64 {
    skewed(row, 2, ITEMS, 3)
}

/// A number below `limit`; low ones are more frequent, the more so for a higher power.
fn skewed(row: u64, stream: u64, limit: u64, power: i32) -> u64 {
    let unit = (draw(row, stream) >> 11) as f64 / (1u64 << 53) as f64;
    (unit.powi(power) * limit as f64) as u64
}

/// SplitMix64 (Steele, Lea, Flood 2014) of the row and the stream.
fn draw(row: u64, stream: u64) -> u64 {
    let mut z = (row * 8 + stream + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
