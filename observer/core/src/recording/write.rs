//! Writing a recording.

use std::io;

use super::scrub::Scrubber;
use super::{BLOCK, FORMAT_VERSION, FRAME_HEAD, MAGIC, Startup, tag};
use crate::engine::Input;

/// Writes inputs to `W` in blocks of about 256 KiB, each in one call, so that `W` need not buffer.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// The block that is being filled; its first eight bytes are kept for length and checksum.
    block: Vec<u8>,
    scrubber: Scrubber,
}

/// Bytes before a block's frames.
const BLOCK_HEAD: usize = 8;

impl<W: io::Write> Writer<W> {
    /// Begins a recording.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn new(mut out: W, startup: &Startup) -> io::Result<Self> {
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.write_all(&head)?;
        let mut block = Vec::with_capacity(2 * BLOCK);
        block.resize(BLOCK_HEAD, 0);
        let mut writer = Self {
            out,
            block,
            scrubber: Scrubber::default(),
        };
        writer.frame(tag::STARTUP, &serde_json::to_vec(startup)?);
        writer.seal()?;
        Ok(writer)
    }

    /// Adds one input; writes a block when enough have come together.
    ///
    /// # Errors
    ///
    /// Those of the writer below. After one, what was written before is a recording that is cut
    /// short, and this writer is of no more use but to [`salvage`](Self::salvage).
    pub fn input(&mut self, input: &Input<'_>) -> io::Result<()> {
        match input {
            Input::Record(bytes) => {
                self.frame(tag::RECORD, bytes);
                let start = self.block.len() - bytes.len();
                self.scrubber.scrub(&mut self.block[start..]);
            }
            Input::Process(facts) => self.frame(tag::PROCESS, &serde_json::to_vec(facts)?),
            Input::File(facts) => self.frame(tag::FILE, &serde_json::to_vec(facts)?),
            Input::Peer(facts) => self.frame(tag::PEER, &serde_json::to_vec(facts)?),
            Input::Sampling { keep } => self.frame(tag::SAMPLING, &keep.to_le_bytes()),
            Input::Pause { since } => self.frame(tag::PAUSE, &since.0.to_le_bytes()),
            Input::Resume { until, every } => {
                let mut body = [0; 12];
                body[..8].copy_from_slice(&until.0.to_le_bytes());
                body[8..].copy_from_slice(&every.to_le_bytes());
                self.frame(tag::RESUME, &body);
            }
            Input::Reckoned {
                place,
                counted,
                expected,
            } => {
                let mut body = [0; 18];
                body[..2].copy_from_slice(&place.to_le_bytes());
                body[2..10].copy_from_slice(&counted.to_le_bytes());
                body[10..].copy_from_slice(&expected.to_le_bytes());
                self.frame(tag::RECKONED, &body);
            }
            Input::Tick { now, lost } => {
                let mut body = [0; 16];
                body[..8].copy_from_slice(&now.0.to_le_bytes());
                body[8..].copy_from_slice(&lost.to_le_bytes());
                self.frame(tag::TICK, &body);
            }
        }
        if self.block.len() >= BLOCK {
            self.seal()?;
        }
        Ok(())
    }

    /// Writes what has come together, so that a reader sees everything until here.
    ///
    /// # Errors
    ///
    /// As [`input`](Self::input).
    pub fn flush(&mut self) -> io::Result<()> {
        if self.block.len() > BLOCK_HEAD {
            self.seal()?;
        }
        self.out.flush()
    }

    /// Ends the recording and returns what it was written to.
    ///
    /// # Errors
    ///
    /// As [`input`](Self::input).
    pub fn finish(mut self) -> io::Result<W> {
        self.end()?;
        Ok(self.out)
    }

    /// Ends the recording: nothing may be added to it any more.
    ///
    /// # Errors
    ///
    /// As [`input`](Self::input).
    pub fn end(&mut self) -> io::Result<()> {
        self.frame(tag::END, &[]);
        self.flush()
    }

    /// After a write that failed for lack of room: writes what had come together in smaller blocks, as long as they
    /// find room. That is of use only if a write below that fails leaves nothing behind.
    ///
    /// # Errors
    ///
    /// Those of the writer below, if anything found no room: what was written is a recording that is cut short.
    pub fn salvage(&mut self) -> io::Result<()> {
        let frames = self.block.split_off(BLOCK_HEAD);
        let (mut rest, mut most) = (frames.as_slice(), frames.len());
        while !rest.is_empty() {
            let (used, frames) = whole_frames(rest, most);
            self.block.extend_from_slice(&rest[..used]);
            match self.seal() {
                Ok(()) => rest = &rest[used..],
                Err(error) if frames == 1 => return Err(error),
                Err(_) => {
                    self.block.truncate(BLOCK_HEAD);
                    most = used / 2;
                }
            }
        }
        self.out.flush()
    }

    /// What the recording is written to.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    fn frame(&mut self, tag: u8, body: &[u8]) {
        // Longer bodies do not exist: a record has at most 64 KiB and a header, a fact a few KiB.
        let Ok(len) = u32::try_from(body.len()) else {
            return;
        };
        self.block.reserve(FRAME_HEAD + body.len());
        self.block.push(tag);
        self.block.extend_from_slice(&len.to_le_bytes());
        self.block.extend_from_slice(body);
    }

    fn seal(&mut self) -> io::Result<()> {
        let frames = &self.block[BLOCK_HEAD..];
        let crc = crc32fast::hash(frames);
        let len = u32::try_from(frames.len()).map_err(io::Error::other)?;
        self.block[..4].copy_from_slice(&len.to_le_bytes());
        self.block[4..BLOCK_HEAD].copy_from_slice(&crc.to_le_bytes());
        self.out.write_all(&self.block)?;
        self.block.truncate(BLOCK_HEAD);
        Ok(())
    }
}

/// The frames at the start of `block` that come to `most` bytes at most, but one at least: their bytes and number.
fn whole_frames(block: &[u8], most: usize) -> (usize, usize) {
    let (mut used, mut frames) = (0, 0);
    while let Some(head) = block[used..].first_chunk::<FRAME_HEAD>() {
        let body = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let end = used + FRAME_HEAD + body;
        if frames > 0 && end > most {
            break;
        }
        (used, frames) = (end, frames + 1);
    }
    (used, frames)
}
