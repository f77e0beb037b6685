//! NDJSON on stdout: each event as it happens, `run_finished` last.

use std::io::{self, BufWriter, Write};

use supermoe_engine::RunEvent;

use crate::failure::Failure;
use crate::progress::Display;

pub struct Json<W: Write> {
    out: BufWriter<W>,
    /// The first write that failed. The run goes on: its results are worth more than its display.
    error: Option<io::Error>,
}

impl<W: Write> Json<W> {
    pub fn new(out: W) -> Json<W> {
        Json {
            out: BufWriter::with_capacity(64 * 1024, out),
            error: None,
        }
    }

    fn write(&mut self, event: &RunEvent) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, event).map_err(io::Error::from)?;
        self.out.write_all(b"\n")?;
        // Thousands of cached stages come at once; everything else is wanted at once.
        match event {
            RunEvent::StageCached { .. } => Ok(()),
            _ => self.out.flush(),
        }
    }
}

impl<W: Write + Send> Display for Json<W> {
    fn event(&mut self, event: &RunEvent) {
        if self.error.is_none() {
            self.error = self.write(event).err();
        }
    }

    fn tick(&mut self) {
        if self.error.is_none() {
            self.error = self.out.flush().err();
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        match self.error.take() {
            Some(error) => Err(error.into()),
            None => Ok(self.out.flush()?),
        }
    }
}
