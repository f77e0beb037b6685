//! CSV and JSON lines as tables: characters, rows, types, and the rows that cannot be read.

mod cell_type;
mod characters;
pub mod first_pass;
mod rows;
pub mod table;
pub mod time_format;
