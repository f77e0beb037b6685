//! Blocks of a text file: all of a small one; of a large one its head and pieces from all over.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use encoding_rs::{Encoding as Decoder, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use flate2::read::MultiGzDecoder;

use crate::draft::error::DraftError;
use crate::draft::sample::Encoding;

/// Read of all files together.
const MOST_BYTES: u64 = 16 << 20;
/// Read of one file at least.
const FEWEST_BYTES: u64 = 1 << 20;
/// Pieces of a large file behind its head.
const PIECES: u64 = 24;
/// The share of the bytes that the head gets.
const HEAD_SHARE: u64 = 4;

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

const MAGICS: [(&[u8], &str); 6] = [
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"PK\x03\x04", "zip (or an Excel workbook)"),
    (b"SQLite format 3", "SQLite"),
    (b"\xd0\xcf\x11\xe0", "old Excel"),
    (b"Obj\x01", "Avro"),
];

pub struct TextFile {
    pub blocks: Vec<Block>,
    pub encoding: Encoding,
    pub bytes: u64,
    pub complete: bool,
}

/// A part of the file in UTF-8.
pub struct Block {
    pub text: String,
    /// Whether it begins in the middle of the file, so probably of a line.
    pub begins_inside: bool,
    pub ends_inside: bool,
}

/// `files`: among how many the bytes are shared.
///
/// # Errors
/// A file that is no text, or cannot be read.
pub fn read(path: &Path, files: usize) -> Result<TextFile, DraftError> {
    let unreadable = |error| DraftError::of_file(path, format!("cannot be read: {error}"));
    let budget = (MOST_BYTES / files.max(1) as u64).max(FEWEST_BYTES);
    let Parts { bytes, parts } = parts(path, budget).map_err(unreadable)?;
    let complete = parts.len() == 1 && parts[0].1.len() as u64 >= bytes;
    let head = &parts[0].1;
    refuse_binary(path, head)?;
    let (encoding, decoder) = encoding(&parts);
    let blocks = parts.iter().map(|(start, part)| Block {
        text: decoder.decode(part).0.into_owned(),
        begins_inside: *start > 0,
        ends_inside: start + (part.len() as u64) < bytes,
    });
    let blocks: Vec<Block> = blocks.collect();
    let control = blocks[0].text.chars().take(64 * 1024);
    if control.filter(|c| *c == '\0').count() > 0 {
        return Err(binary(path, "it has NUL characters"));
    }
    Ok(TextFile {
        blocks,
        encoding,
        bytes,
        complete,
    })
}

/// What is read of a file.
struct Parts {
    /// Bytes of all of the file, unpacked.
    bytes: u64,
    /// By where they begin.
    parts: Vec<(u64, Vec<u8>)>,
}

fn parts(path: &Path, budget: u64) -> io::Result<Parts> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut magic = Vec::new();
    (&mut file).take(4).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    if magic.starts_with(GZIP) {
        let head = head_of(&mut MultiGzDecoder::new(&file), budget)?;
        return unpacked(&mut file, bytes, head, budget);
    }
    if magic.starts_with(ZSTD) {
        let head = head_of(&mut zstd::Decoder::new(&file)?, budget)?;
        return unpacked(&mut file, bytes, head, budget);
    }
    let mut parts = Vec::new();
    for (start, length) in ranges(bytes, budget) {
        file.seek(SeekFrom::Start(start))?;
        parts.push((start, head_of(&mut &file, length)?));
    }
    Ok(Parts { bytes, parts })
}

fn head_of(reader: &mut dyn Read, length: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(length).read_to_end(&mut head)?;
    Ok(head)
}

/// Of a packed file only the head can be reached; how much there is behind it follows from what it took.
fn unpacked(file: &mut File, packed: u64, head: Vec<u8>, budget: u64) -> io::Result<Parts> {
    let length = head.len() as u64;
    let taken = file.stream_position()?.max(1);
    let bytes = match length < budget {
        true => length,
        false => (length as f64 * packed as f64 / taken as f64) as u64 + 1,
    };
    Ok(Parts {
        bytes,
        parts: vec![(0, head)],
    })
}

/// Start and length of what is read; even starts, for the two bytes of UTF-16.
fn ranges(bytes: u64, budget: u64) -> Vec<(u64, u64)> {
    if bytes <= budget {
        return vec![(0, bytes)];
    }
    let head = budget / HEAD_SHARE;
    let piece = (budget - head) / PIECES;
    let between = (bytes - head - piece) / PIECES;
    let mut ranges = vec![(0, head)];
    for number in 1..=PIECES {
        let start = head + number * between;
        ranges.push((start - start % 2, piece + 1));
    }
    ranges
}

fn refuse_binary(path: &Path, head: &[u8]) -> Result<(), DraftError> {
    if let Some((_, kind)) = MAGICS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(binary(path, &format!("it is {kind}")));
    }
    let utf16 = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    if !utf16 && head.iter().take(64 * 1024).any(|&byte| byte == 0) {
        return Err(binary(path, "it has NUL bytes"));
    }
    Ok(())
}

fn binary(path: &Path, why: &str) -> DraftError {
    DraftError::of_file(path, format!("is no text file: {why}"))
        .help("Give a CSV, JSON lines or Parquet file; unpack or export it first")
}

fn encoding(parts: &[(u64, Vec<u8>)]) -> (Encoding, &'static Decoder) {
    let head = &parts[0].1;
    if head.starts_with(b"\xff\xfe") {
        return (Encoding::Utf16, UTF_16LE);
    }
    if head.starts_with(b"\xfe\xff") {
        return (Encoding::Utf16, UTF_16BE);
    }
    match parts.iter().all(|(_, part)| is_utf8(part)) {
        true => (Encoding::Utf8, UTF_8),
        false => (Encoding::Latin1, WINDOWS_1252),
    }
}

/// Whether a part is UTF-8, but for a character that it was cut in.
fn is_utf8(part: &[u8]) -> bool {
    let start = part.iter().take(4).position(|byte| byte & 0xC0 != 0x80);
    match std::str::from_utf8(&part[start.unwrap_or(0).min(3)..]) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_read_in_pieces_to_its_end() {
        assert_eq!(ranges(100, 100), [(0, 100)]);
        let ranges = ranges(1_000_000_000, 16 << 20);
        assert_eq!(ranges[0], (0, 4 << 20));
        assert_eq!(ranges.len() as u64, PIECES + 1);
        let read: u64 = ranges.iter().map(|(_, length)| length).sum();
        assert!(read <= (16 << 20) + PIECES, "{read}");
        let (start, length) = ranges[PIECES as usize];
        assert!(start + length + 64 > 1_000_000_000, "{start} {length}");
        assert!(
            ranges
                .windows(2)
                .all(|pair| pair[0].0 + pair[0].1 <= pair[1].0)
        );
    }

    #[test]
    fn packed_files_are_read_from_their_beginning() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.csv.gz");
        let text = "user,at\nu1,2021-01-01\n".repeat(100_000);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packed, text.as_bytes()).expect("memory");
        let packed = packed.finish().expect("memory");
        std::fs::write(&path, &packed).expect("a file");
        let whole = read(&path, 1).expect("text");
        assert!(whole.complete && whole.blocks[0].text == text);
        let part = read(&path, 16).expect("text");
        assert!(!part.complete && part.blocks[0].ends_inside);
        assert_eq!(part.blocks[0].text, text[..FEWEST_BYTES as usize]);
        std::fs::write(&path, &packed[..packed.len() / 2]).expect("a file");
        assert!(read(&path, 1).is_err(), "its end is missing");
    }

    #[test]
    fn text_cut_in_a_character_is_still_utf8() {
        let text = "äöü€".as_bytes();
        for start in 0..3 {
            assert!(is_utf8(&text[start..text.len() - start]), "{start}");
        }
        assert!(!is_utf8(b"caf\xe9 au lait"));
    }
}
