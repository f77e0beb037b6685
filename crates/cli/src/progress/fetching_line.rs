//! The line that says what is fetched before stages run.

use std::path::Path;
use supermoe_plugin::size::size_text;

use crate::quantity;

/// `fetching s3://bucket/data/  3 objects, 1.2 GB`
pub fn fetching_line(url: &Path, objects: u64, bytes: Option<u64>) -> String {
    let count = usize::try_from(objects).unwrap_or(usize::MAX);
    let mut text = format!("fetching {}  ", url.display());
    text.push_str(&quantity::counted(count, "object"));
    if let Some(bytes) = bytes {
        text.push_str(&format!(", {}", size_text(bytes)));
    }
    text
}
