//! From the bytes of the ring buffer, or of a recording, to a [`Record`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use observer_abi::{self as abi, class, data_flag, file_flag, kind};

use super::fields::{Fields, offset};
use super::runtimes::{branch, execution, heap, item, nudge, passed, take, turn, woke};
use super::{
    Class, Data, Direction, End, Event, Execution, File, Record, Short, TcpAddresses, Waited,
};
use crate::ids::{FileId, KernelNanos, Tgid, Tid};

/// `O_APPEND` of Linux on all architectures that Rust supports but alpha, hppa, mips and sparc
/// (`include/uapi/asm-generic/fcntl.h`).
const O_APPEND: u32 = 0o2000;

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the record's kind or its own length needs.
    #[error("record of {have} bytes is cut short ({need} needed)")]
    Truncated {
        /// Bytes present.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// Made by probes of another layout.
    #[error("record has layout version {0}, this program reads {oldest} to {newest}", oldest = abi::OLDEST_ABI, newest = abi::ABI_VERSION)]
    Version(u8),
    /// A kind that this version does not know.
    #[error("record kind {0} is unknown")]
    Kind(u8),
    /// A class that this version does not know.
    #[error("descriptor class {0} is unknown")]
    Class(u8),
    /// A field contradicts another.
    #[error("record field `{0}` is out of range")]
    Field(&'static str),
}

const HEADER: usize = size_of::<abi::Header>();
const FILE: usize = size_of::<abi::File>();
const TASK: usize = size_of::<abi::Task>();

/// Where a record stands among all that its CPU wanted to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// As in [`Record::cpu`].
    pub cpu: u32,
    /// As in [`Record::seq`].
    pub seq: u32,
    /// As in [`Record::time`].
    pub time: KernelNanos,
}

/// The place of a record, whatever else it says; `None` of bytes that are no record of a layout that is
/// known.
#[must_use]
pub fn place(bytes: &[u8]) -> Option<Place> {
    let header = Fields::<HEADER>::of(bytes).ok()?;
    let version = header.u8(offset!(abi::Header, abi));
    (abi::OLDEST_ABI..=abi::ABI_VERSION)
        .contains(&version)
        .then(|| Place {
            cpu: header.u32(offset!(abi::Header, cpu)),
            seq: header.u32(offset!(abi::Header, seq)),
            time: KernelNanos(header.u64(offset!(abi::Header, time))),
        })
}

/// Decodes one record.
///
/// # Errors
///
/// See [`DecodeError`]; nothing is guessed from bytes that do not fit.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
    let (header, body) = parts(bytes)?;
    let version = header.u8(offset!(abi::Header, abi));
    let event = match header.u8(offset!(abi::Header, kind)) {
        kind::DATA => data(body, version, header.u8(offset!(abi::Header, flags)))?,
        kind::SHORT => short(body)?,
        kind::FILE => file(body)?,
        kind::CLOSE => {
            let f = Fields::<{ size_of::<abi::Close>() }>::of(body)?;
            Event::Close {
                file: FileId(f.u64(offset!(abi::Close, file))),
                last: f.u32(offset!(abi::Close, last)) != 0,
            }
        }
        kind::FORK => Event::Fork {
            child: Tgid(task(body)?.u32(offset!(abi::Task, tgid))),
        },
        kind::SPAWN => Event::Spawn {
            child: Tid(task(body)?.u32(offset!(abi::Task, tid))),
            by: starter(body)?,
        },
        kind::PARK => {
            task(body)?;
            Event::Park
        }
        kind::REUSE => {
            let tid = task(body)?.u32(offset!(abi::Task, tid));
            let child = (tid != 0).then_some(Tid(tid));
            Event::Reuse { child }
        }
        kind::EXEC => {
            task(body)?;
            Event::Exec
        }
        kind::EXIT => {
            task(body)?;
            Event::Exit
        }
        kind::TAKE => take(body, header.u8(offset!(abi::Header, flags)))?,
        kind::BRANCH => branch(body)?,
        kind::TURN => turn(body)?,
        kind::WOKE => woke(body)?,
        kind::NUDGE => nudge(body)?,
        kind::ITEM => item(body)?,
        kind::PASSED => passed(body)?,
        kind::HEAP => heap(body)?,
        kind::RING => Event::Ring,
        other => return Err(DecodeError::Kind(other)),
    };
    Ok(Record {
        time: KernelNanos(header.u64(offset!(abi::Header, time))),
        tgid: Tgid(header.u32(offset!(abi::Header, tgid))),
        tid: Tid(header.u32(offset!(abi::Header, tid))),
        cpu: header.u32(offset!(abi::Header, cpu)),
        seq: header.u32(offset!(abi::Header, seq)),
        waited: Waited(header.u8(offset!(abi::Header, waited))),
        event,
    })
}

/// The header of a record of a layout that is known, and all its bytes.
#[inline]
fn parts(bytes: &[u8]) -> Result<(Fields<'_, HEADER>, &[u8]), DecodeError> {
    let header = Fields::<HEADER>::of(bytes)?;
    let version = header.u8(offset!(abi::Header, abi));
    if !(abi::OLDEST_ABI..=abi::ABI_VERSION).contains(&version) {
        return Err(DecodeError::Version(version));
    }
    let len = header.u32(offset!(abi::Header, len)) as usize;
    let cut = DecodeError::Truncated {
        have: bytes.len(),
        need: len,
    };
    let body = bytes.get(..len).ok_or(cut)?;
    Ok((header, body))
}

/// What is to be known of a data record before it is its turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub time: KernelNanos,
    pub tid: Tid,
    pub file: FileId,
    pub pos: u64,
    pub len: u32,
    /// A written call began, rather than that a read one ended or a call failed.
    pub begins_write: bool,
    pub more: bool,
}

/// The bounds of a data record, for a part of what [`decode`] takes; `None` of all else.
pub(crate) fn bounds(bytes: &[u8]) -> Option<Bounds> {
    let (header, body) = parts(bytes).ok()?;
    if header.u8(offset!(abi::Header, kind)) != kind::DATA {
        return None;
    }
    let f = Fields::<{ abi::DATA_V1 }>::of(body).ok()?;
    let (len, _) = moved(&f, body, header.u8(offset!(abi::Header, abi))).ok()?;
    let flags = header.u8(offset!(abi::Header, flags));
    Some(Bounds {
        time: KernelNanos(header.u64(offset!(abi::Header, time))),
        tid: Tid(header.u32(offset!(abi::Header, tid))),
        file: FileId(f.u64(offset!(abi::Data, file))),
        pos: f.u64(offset!(abi::Data, pos)),
        len,
        begins_write: flags & (data_flag::WRITE | data_flag::ERROR) == data_flag::WRITE,
        more: flags & data_flag::MORE != 0,
    })
}

/// The execution that started a thread, if one is told.
fn starter(body: &[u8]) -> Result<Option<Execution>, DecodeError> {
    if body.len() < size_of::<abi::Started>() {
        return Ok(None);
    }
    let f = Fields::<{ size_of::<abi::Started>() }>::of(body)?;
    let runtime = f.u8(offset!(abi::Started, runtime));
    execution(runtime, f.u64(offset!(abi::Started, execution)), 0)
}

fn task(body: &[u8]) -> Result<Fields<'_, TASK>, DecodeError> {
    Fields::of(body)
}

fn class_of(value: u8) -> Result<Class, DecodeError> {
    Ok(match value {
        class::TCP4 | class::TCP6 => Class::Tcp,
        class::UNIX => Class::Unix,
        class::PIPE => Class::Pipe,
        class::TTY => Class::Tty,
        class::LOG => Class::Log,
        other => return Err(DecodeError::Class(other)),
    })
}

/// Bytes before the payload of a data record of layout `version`.
#[must_use]
pub fn payload_at(version: u8) -> usize {
    match version {
        1 => abi::DATA_V1,
        _ => size_of::<abi::Data>(),
    }
}

/// How many bytes a data record tells of, and those that were captured.
#[inline]
fn moved<'a>(
    f: &Fields<'_, { abi::DATA_V1 }>,
    body: &'a [u8],
    version: u8,
) -> Result<(u32, &'a [u8]), DecodeError> {
    let captured = f.u32(offset!(abi::Data, captured)) as usize;
    let len = f.u32(offset!(abi::Data, len));
    let start = payload_at(version);
    if captured > len as usize {
        return Err(DecodeError::Field("captured"));
    }
    let payload = body.get(start..start + captured);
    let cut = DecodeError::Truncated {
        have: body.len(),
        need: start + captured,
    };
    Ok((len, payload.ok_or(cut)?))
}

#[inline]
fn data(body: &[u8], version: u8, flags: u8) -> Result<Event<'_>, DecodeError> {
    let execution = if version == 1 {
        None
    } else {
        let f = Fields::<{ size_of::<abi::Data>() }>::of(body)?;
        execution(
            f.u8(offset!(abi::Data, runtime)),
            f.u64(offset!(abi::Data, execution)),
            f.u64(offset!(abi::Data, origin)),
        )?
    };
    let f = Fields::<{ abi::DATA_V1 }>::of(body)?;
    let (len, payload) = moved(&f, body, version)?;
    let end = if flags & data_flag::ERROR != 0 {
        Some(End::Error(f.u16(offset!(abi::Data, errno))))
    } else if flags & (data_flag::EOF | data_flag::WRITE) == data_flag::EOF {
        Some(End::Eof)
    } else {
        None
    };
    let direction = if flags & data_flag::WRITE != 0 {
        Direction::Write
    } else {
        Direction::Read
    };
    Ok(Event::Data(Data {
        file: FileId(f.u64(offset!(abi::Data, file))),
        class: class_of(f.u8(offset!(abi::Data, class)))?,
        direction,
        pos: f.u64(offset!(abi::Data, pos)),
        len,
        payload: if flags & data_flag::FAULT != 0 {
            &[]
        } else {
            payload
        },
        fd: f.i32(offset!(abi::Data, fd)),
        nonblocking: flags & data_flag::NONBLOCK != 0,
        more: flags & data_flag::MORE != 0,
        pipe_empty: flags & data_flag::PIPE_EMPTY != 0,
        left_out: direction == Direction::Write && flags & data_flag::LEFT_OUT != 0,
        end,
        execution,
    }))
}

fn short(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Short>() }>::of(body)?;
    let offered = f.u32(offset!(abi::Short, offered));
    let moved = u32::try_from(f.i32(offset!(abi::Short, ret)).max(0)).unwrap_or(0);
    let missing = offered
        .checked_sub(moved)
        .ok_or(DecodeError::Field("ret"))?;
    Ok(Event::Short(Short {
        file: FileId(f.u64(offset!(abi::Short, file))),
        pos: f.u64(offset!(abi::Short, pos)),
        missing,
    }))
}

fn file(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<FILE>::of(body)?;
    let raw_class = f.u8(offset!(abi::File, class));
    let path_len = usize::from(f.u16(offset!(abi::File, path_len)));
    if path_len > abi::UNIX_PATH {
        return Err(DecodeError::Field("path_len"));
    }
    let path_at = offset!(abi::File, path);
    let peer_ino = f.u64(offset!(abi::File, peer_ino));
    Ok(Event::File(File {
        file: FileId(f.u64(offset!(abi::File, file))),
        class: class_of(raw_class)?,
        fd: f.i32(offset!(abi::File, fd)),
        append: f.u32(offset!(abi::File, open_flags)) & O_APPEND != 0,
        ino: f.u64(offset!(abi::File, ino)),
        peer_ino: (peer_ino != 0).then_some(peer_ino),
        tcp: tcp_addresses(&f, raw_class),
        path: &body[path_at..path_at + path_len],
        lot: f.u16(offset!(abi::File, lot)),
        keep: (1 << 16) - u32::from(f.u16(offset!(abi::File, left_out))),
        left_out: left_out(f.u8(offset!(abi::Header, flags))),
    }))
}

fn left_out(flags: u8) -> Option<Direction> {
    let first = match flags & file_flag::READ {
        0 => Direction::Write,
        _ => Direction::Read,
    };
    (flags & file_flag::LEFT_OUT != 0).then_some(first)
}

fn tcp_addresses(f: &Fields<'_, FILE>, raw_class: u8) -> Option<TcpAddresses> {
    let address = |at: usize| -> Option<IpAddr> {
        match raw_class {
            class::TCP4 => Some(IpAddr::V4(Ipv4Addr::from(f.array::<4>(at)))),
            class::TCP6 => Some(IpAddr::V6(Ipv6Addr::from(f.array::<16>(at)))),
            _ => None,
        }
    };
    Some(TcpAddresses {
        local: canonical(
            address(offset!(abi::File, local_addr))?,
            f.u16(offset!(abi::File, local_port)),
        ),
        remote: canonical(
            address(offset!(abi::File, remote_addr))?,
            f.u16(offset!(abi::File, remote_port)),
        ),
    })
}

/// An address as the kernel holds it: IPv4-mapped ones become IPv4.
fn canonical(addr: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(addr.to_canonical(), port)
}
