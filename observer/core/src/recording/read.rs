//! Reading a recording.

use std::io::{self, ErrorKind, Read};

use super::{ByteOrder, FORMAT_VERSION, FRAME_HEAD, MAGIC, MAX_BLOCK, Startup, tag};
use crate::engine::Input;
use crate::ids::KernelNanos;

/// Why a recording can't be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file or stream below failed.
    #[error("reading failed")]
    Io(#[from] io::Error),
    /// It does not begin as recordings do.
    #[error("this is not a recording of observer")]
    NotARecording,
    /// Made by a newer program.
    #[error(
        "made by a newer observer: recording format {found}, this program reads {FORMAT_VERSION}; replay it with the version that made it"
    )]
    NewerFormat {
        /// Format version of the recording.
        found: u16,
    },
    /// Its records have another layout.
    #[error(
        "its records have layout version {found}, this program reads {oldest} to {newest}; replay it with observer {program}, which made it",
        oldest = observer_abi::OLDEST_ABI,
        newest = observer_abi::ABI_VERSION
    )]
    OtherAbi {
        /// Layout version of its records.
        found: u8,
        /// Version of the program that made it.
        program: String,
    },
    /// Made on a machine of the other byte order.
    #[error("made on a {found:?}-endian machine; replay it on one")]
    OtherByteOrder {
        /// Byte order of the recording.
        found: ByteOrder,
    },
    /// It ends before its end: the observer was killed or the disk was full while recording.
    #[error("cut short after {offset} bytes: what comes before is complete, the end is missing")]
    Truncated {
        /// Bytes that are complete.
        offset: u64,
    },
    /// Its bytes were changed.
    #[error("damaged at byte {offset} ({what}): what comes before is complete")]
    Damaged {
        /// Where the damaged block begins.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
}

impl ReadError {
    /// Whether everything read before the error is as it was recorded, so that judging it is sound.
    #[must_use]
    pub fn leaves_a_beginning(&self) -> bool {
        matches!(self, Self::Truncated { .. } | Self::Damaged { .. })
    }
}

/// Reads inputs from `R`, block by block, so that `R` need not buffer.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    /// Frames of the current block.
    block: Vec<u8>,
    /// Where the next frame begins in it.
    at: usize,
    /// Where the current block begins in the recording.
    block_offset: u64,
    /// Bytes read so far.
    offset: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Opens a recording.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn new(mut from: R) -> Result<(Startup, Self), ReadError> {
        let mut head = [0; MAGIC.len() + 2];
        if fill(&mut from, &mut head)? < head.len() || head[..MAGIC.len()] != MAGIC {
            return Err(ReadError::NotARecording);
        }
        let found = u16::from_le_bytes([head[MAGIC.len()], head[MAGIC.len() + 1]]);
        if found > FORMAT_VERSION {
            return Err(ReadError::NewerFormat { found });
        }
        if found == 0 {
            return Err(ReadError::NotARecording);
        }
        let mut reader = Self {
            from,
            block: Vec::new(),
            at: 0,
            block_offset: 0,
            offset: head.len() as u64,
            ended: false,
        };
        let startup = reader.startup()?;
        Ok((startup, reader))
    }

    fn startup(&mut self) -> Result<Startup, ReadError> {
        self.load_block()?;
        let offset = self.block_offset;
        let Some((tag::STARTUP, body)) = self.frame()? else {
            return Err(damaged(offset, "no startup frame"));
        };
        // The layout version first: of a newer one, nothing else may be readable.
        let made: MadeBy =
            serde_json::from_slice(body).map_err(|_| damaged(offset, "startup frame"))?;
        if !(observer_abi::OLDEST_ABI..=observer_abi::ABI_VERSION).contains(&made.abi) {
            return Err(ReadError::OtherAbi {
                found: made.abi,
                program: made.program,
            });
        }
        let startup: Startup =
            serde_json::from_slice(body).map_err(|_| damaged(offset, "startup frame"))?;
        if startup.byte_order != ByteOrder::NATIVE {
            return Err(ReadError::OtherByteOrder {
                found: startup.byte_order,
            });
        }
        Ok(startup)
    }

    /// The next input; `None` at the end of a complete recording.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]; after one, nothing more can be read.
    pub fn next_input(&mut self) -> Result<Option<Input<'_>>, ReadError> {
        while !self.ended && self.at == self.block.len() {
            self.load_block()?;
        }
        if self.ended {
            return Ok(None);
        }
        let offset = self.block_offset;
        if self.block[self.at] == tag::END {
            self.ended = true;
            return Ok(None);
        }
        let Some((tag, body)) = self.frame()? else {
            return Err(damaged(offset, "frame"));
        };
        Ok(Some(input(tag, body).ok_or(damaged(offset, "frame"))?))
    }

    /// Takes the next frame of the current block; `None` if the block has no more.
    fn frame(&mut self) -> Result<Option<(u8, &[u8])>, ReadError> {
        let rest = &self.block[self.at..];
        let Some((head, rest)) = rest.split_first_chunk::<FRAME_HEAD>() else {
            return Ok(None);
        };
        let len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let Some(body) = rest.get(..len) else {
            return Err(damaged(self.block_offset, "frame length"));
        };
        self.at += FRAME_HEAD + len;
        Ok(Some((head[0], body)))
    }

    fn load_block(&mut self) -> Result<(), ReadError> {
        let truncated = ReadError::Truncated {
            offset: self.offset,
        };
        self.block_offset = self.offset;
        self.at = 0;
        self.block.clear();
        let mut head = [0; 8];
        if fill(&mut self.from, &mut head)? < head.len() {
            return Err(truncated);
        }
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        if len > MAX_BLOCK {
            return Err(damaged(self.block_offset, "block length"));
        }
        self.block.resize(len, 0);
        if fill(&mut self.from, &mut self.block)? < len {
            self.block.clear();
            return Err(truncated);
        }
        if crc32fast::hash(&self.block) != crc {
            self.block.clear();
            return Err(damaged(self.block_offset, "checksum"));
        }
        self.offset += (head.len() + len) as u64;
        Ok(())
    }
}

/// The part of [`Startup`] that every version has.
#[derive(serde::Deserialize)]
struct MadeBy {
    abi: u8,
    program: String,
}

fn damaged(offset: u64, what: &'static str) -> ReadError {
    ReadError::Damaged { offset, what }
}

fn input(tag: u8, body: &[u8]) -> Option<Input<'_>> {
    Some(match tag {
        tag::RECORD => Input::Record(body),
        tag::PROCESS => Input::Process(serde_json::from_slice(body).ok()?),
        tag::FILE => Input::File(serde_json::from_slice(body).ok()?),
        tag::PEER => Input::Peer(serde_json::from_slice(body).ok()?),
        tag::SAMPLING => Input::Sampling {
            keep: u32::from_le_bytes(body.try_into().ok()?),
        },
        tag::PAUSE => Input::Pause {
            since: KernelNanos(u64::from_le_bytes(body.try_into().ok()?)),
        },
        tag::RESUME => {
            let (until, every) = body.split_first_chunk()?;
            Input::Resume {
                until: KernelNanos(u64::from_le_bytes(*until)),
                every: u32::from_le_bytes(every.try_into().ok()?),
            }
        }
        tag::RECKONED => {
            let (place, body) = body.split_first_chunk()?;
            let (counted, expected) = body.split_first_chunk()?;
            Input::Reckoned {
                place: u16::from_le_bytes(*place),
                counted: u64::from_le_bytes(*counted),
                expected: u64::from_le_bytes(expected.try_into().ok()?),
            }
        }
        tag::TICK => {
            let (now, lost) = body.split_first_chunk()?;
            Input::Tick {
                now: KernelNanos(u64::from_le_bytes(*now)),
                lost: u64::from_le_bytes(lost.try_into().ok()?),
            }
        }
        _ => return None,
    })
}

/// Reads until `buffer` is full or the end; how many bytes were read.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ReadError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(filled)
}
