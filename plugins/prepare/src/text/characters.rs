//! The bytes of a text file as UTF-8: decompressed, decoded, without a byte order mark.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_16LE, WINDOWS_1252};

use crate::source_params::TextEncoding;

const BUFFER_BYTES: usize = 128 * 1024;

/// Opens a file. Bytes of `utf-8` are passed on as they are: a row with others is told by its line.
///
/// # Errors
/// A file that cannot be opened. Reading fails at bytes that are no characters of the encoding.
pub fn open(path: &Path, encoding: TextEncoding) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    let head = file.fill_buf()?;
    let mut bytes: Box<dyn Read + Send> = match head {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    };
    let mut mark = [0; 3];
    let mut length = 0;
    while length < mark.len() {
        match bytes.read(&mut mark[length..])? {
            0 => break,
            read => length += read,
        }
    }
    let mark = &mark[..length];
    let (known, skipped) = match mark {
        [0xef, 0xbb, 0xbf] => (None, 3),
        [0xff, 0xfe, ..] => (Some(UTF_16LE), 2),
        [0xfe, 0xff, ..] => (Some(encoding_rs::UTF_16BE), 2),
        _ => match encoding {
            TextEncoding::Utf8 => (None, 0),
            TextEncoding::Latin1 => (Some(WINDOWS_1252), 0),
            TextEncoding::Utf16 => (Some(UTF_16LE), 0),
        },
    };
    let rest = Cursor::new(mark[skipped..].to_vec()).chain(bytes);
    Ok(match known {
        None => Box::new(BufReader::with_capacity(BUFFER_BYTES, rest)),
        Some(encoding) => {
            let decoded = Decoded::new(rest, encoding);
            Box::new(BufReader::with_capacity(BUFFER_BYTES, decoded))
        }
    })
}

/// UTF-8 of the bytes of another encoding.
struct Decoded<R> {
    bytes: R,
    encoding: &'static Encoding,
    decoder: Decoder,
    input: Vec<u8>,
    /// Those of `input` that are not decoded yet.
    left: std::ops::Range<usize>,
    /// Whether `bytes` are at their end.
    ended: bool,
    /// Whether all that they give is in `output`.
    done: bool,
    output: Vec<u8>,
    taken: usize,
}

impl<R: Read> Decoded<R> {
    fn new(bytes: R, encoding: &'static Encoding) -> Self {
        Self {
            bytes,
            encoding,
            decoder: encoding.new_decoder_without_bom_handling(),
            input: vec![0; BUFFER_BYTES],
            left: 0..0,
            ended: false,
            done: false,
            output: Vec::new(),
            taken: 0,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.output.resize(BUFFER_BYTES * 2, 0);
        self.taken = 0;
        if self.left.is_empty() && !self.ended {
            let read = self.bytes.read(&mut self.input)?;
            self.left = 0..read;
            self.ended = read == 0;
        }
        let input = &self.input[self.left.clone()];
        let (result, read, written) =
            self.decoder
                .decode_to_utf8_without_replacement(input, &mut self.output, self.ended);
        self.left.start += read;
        self.output.truncate(written);
        self.done = self.ended && result == DecoderResult::InputEmpty;
        match result {
            DecoderResult::InputEmpty | DecoderResult::OutputFull => Ok(()),
            DecoderResult::Malformed(..) => {
                let name = self.encoding.name();
                let problem = format!("it has bytes that are no characters of {name}");
                Err(io::Error::new(io::ErrorKind::InvalidData, problem))
            }
        }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.output.len() && !self.done {
            self.refill()?;
        }
        let count = buffer.len().min(self.output.len() - self.taken);
        buffer[..count].copy_from_slice(&self.output[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], encoding: TextEncoding) -> io::Result<String> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        std::fs::write(&path, bytes)?;
        let mut text = String::new();
        open(&path, encoding)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn each_encoding_gives_its_characters() {
        let of = |bytes: &[u8], encoding| text(bytes, encoding).expect("characters");
        assert_eq!(of("é;ß".as_bytes(), TextEncoding::Utf8), "é;ß");
        assert_eq!(of("\u{feff}é".as_bytes(), TextEncoding::Latin1), "é");
        assert_eq!(of(b"\xe9;\xdf\x80", TextEncoding::Latin1), "é;ß€");
        let wide: Vec<u8> = "é;😀".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(of(&wide, TextEncoding::Utf16), "é;😀");
        let marked: Vec<u8> = "\u{feff}aé"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        assert_eq!(of(&marked, TextEncoding::Utf8), "aé");
        let long = "é,".repeat(300_000);
        let wide: Vec<u8> = long.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(of(&wide, TextEncoding::Utf16), long);
        assert_eq!(of(b"", TextEncoding::Utf16), "");
    }

    #[test]
    fn bytes_that_are_no_characters_are_an_error() {
        let lone = [0x00, 0xd8, b'a', 0];
        let error = text(&lone, TextEncoding::Utf16).expect_err("half of a pair");
        assert!(
            error.to_string().contains("no characters of UTF-16LE"),
            "{error}"
        );
        text(b"a\0b", TextEncoding::Utf16).expect_err("half of a character");
    }

    #[test]
    fn compressed_files_are_read_through() {
        let plain = "a,b\n1,2\n".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut gzip, plain.as_bytes()).expect("memory");
        let gzip = gzip.finish().expect("memory");
        assert_eq!(text(&gzip, TextEncoding::Utf8).expect("text"), plain);
        let zstd = zstd::encode_all(plain.as_bytes(), 1).expect("memory");
        assert_eq!(text(&zstd, TextEncoding::Utf8).expect("text"), plain);
        text(&gzip[..gzip.len() / 2], TextEncoding::Utf8).expect_err("its end is missing");
    }
}
