//! From the bytes of the ring buffer, or of a recording, to a [`Record`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use observer_abi::{self as abi, class, data_flag, file_flag, kind};

use super::{
    Class, Data, Direction, End, Event, Execution, ExecutionKind, File, Heap, Item, ItemHow,
    ItemWhat, Nudge, Passed, PassedHow, Record, Runs, Short, Take, TakeHow, TcpAddresses, Turn,
    Waited, Woke, canonical,
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
/// Up to what was added to it.
const HEAP: usize = std::mem::offset_of!(abi::Heap, execution);

/// Reads fields at fixed offsets of a structure of `N` bytes.
struct Fields<'a, const N: usize>(&'a [u8; N]);

macro_rules! offset {
    ($record:ty, $field:ident) => {
        std::mem::offset_of!($record, $field)
    };
}

impl<'a, const N: usize> Fields<'a, N> {
    fn of(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let cut = DecodeError::Truncated {
            have: bytes.len(),
            need: N,
        };
        bytes.first_chunk().map(Self).ok_or(cut)
    }

    #[inline]
    fn array<const M: usize>(&self, at: usize) -> [u8; M] {
        let mut out = [0; M];
        out.copy_from_slice(&self.0[at..at + M]);
        out
    }

    fn u8(&self, at: usize) -> u8 {
        self.0[at]
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.array(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_ne_bytes(self.array(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.array(at))
    }
}

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
    let header = Fields::<HEADER>::of(bytes)?;
    let version = header.u8(offset!(abi::Header, abi));
    if !(abi::OLDEST_ABI..=abi::ABI_VERSION).contains(&version) {
        return Err(DecodeError::Version(version));
    }
    let len = header.u32(offset!(abi::Header, len)) as usize;
    if len > bytes.len() {
        return Err(DecodeError::Truncated {
            have: bytes.len(),
            need: len,
        });
    }
    let body = &bytes[..len];
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

fn execution(code: u8, id: u64, origin: u64) -> Result<Option<Execution>, DecodeError> {
    let runtime = match code {
        abi::runtime::NONE => return Ok(None),
        abi::runtime::GO => ExecutionKind::Goroutine,
        abi::runtime::PYTHON => ExecutionKind::PythonContext,
        abi::runtime::GREENLET => ExecutionKind::Greenlet,
        abi::runtime::TOKIO => ExecutionKind::TokioTask,
        abi::runtime::NODE => ExecutionKind::NodeAsync,
        abi::runtime::JAVA => ExecutionKind::VirtualThread,
        abi::runtime::HAPROXY => ExecutionKind::HaproxyStream,
        abi::runtime::PUBLISHED => ExecutionKind::Published,
        abi::runtime::PINNED => ExecutionKind::Pinned,
        _ => return Err(DecodeError::Field("runtime")),
    };
    Ok(Some(Execution {
        kind: runtime,
        id,
        origin,
    }))
}

fn heap(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<HEAP>::of(body)?;
    // Earlier probes did not tell what runs on the thread, nor what it was started to run.
    let later = |at: usize| {
        let bytes = body.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    Ok(Event::Heap(Heap {
        task: f.u64(offset!(abi::Heap, task)),
        class: f.u32(offset!(abi::Heap, class)),
        start: f.u64(offset!(abi::Heap, start)),
        top: f.u64(offset!(abi::Heap, top)),
        end: f.u64(offset!(abi::Heap, end)),
        collections: f.u32(offset!(abi::Heap, collections)),
        runs: match later(offset!(abi::Heap, execution)) {
            0 => Runs::Itself,
            abi::UNKNOWN_EXECUTION => Runs::Unknown,
            id => Runs::Virtual(id),
        },
        target: later(offset!(abi::Heap, target)),
    }))
}

fn take(body: &[u8], flags: u8) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Take>() }>::of(body)?;
    let how = match f.u8(offset!(abi::Take, how)) {
        abi::take::CONNECT => TakeHow::Connect,
        abi::take::PROBE => TakeHow::Probe,
        abi::take::CLIENT => TakeHow::Client,
        _ => return Err(DecodeError::Field("how")),
    };
    Ok(Event::Take(Take {
        file: FileId(f.u64(offset!(abi::Take, file))),
        how,
        nonblocking: flags & data_flag::NONBLOCK != 0,
        execution: execution(
            f.u8(offset!(abi::Take, runtime)),
            f.u64(offset!(abi::Take, execution)),
            f.u64(offset!(abi::Take, origin)),
        )?,
    }))
}

fn branch(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Branch>() }>::of(body)?;
    let child = execution(
        f.u8(offset!(abi::Branch, runtime)),
        f.u64(offset!(abi::Branch, child)),
        f.u64(offset!(abi::Branch, parent)),
    )?;
    child
        .map(Event::Branch)
        .ok_or(DecodeError::Field("runtime"))
}

fn turn(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Turn>() }>::of(body)?;
    let execution = execution(
        f.u8(offset!(abi::Turn, runtime)),
        f.u64(offset!(abi::Turn, execution)),
        0,
    )?;
    Ok(Event::Turn(Turn {
        execution: execution.ok_or(DecodeError::Field("runtime"))?,
        root: f.u64(offset!(abi::Turn, root)),
        newest: f.u64(offset!(abi::Turn, newest)),
        reads: f.u32(offset!(abi::Turn, reads)),
    }))
}

fn woke(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Woke>() }>::of(body)?;
    Ok(Event::Woke(Woke {
        word: f.u64(offset!(abi::Woke, word)),
        since: KernelNanos(f.u64(offset!(abi::Woke, since))),
        woken: KernelNanos(f.u64(offset!(abi::Woke, woken))),
        waker: Tid(f.u32(offset!(abi::Woke, waker))),
    }))
}

fn nudge(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Nudge>() }>::of(body)?;
    let woken = execution(
        f.u8(offset!(abi::Nudge, runtime)),
        f.u64(offset!(abi::Nudge, woken)),
        0,
    )?;
    Ok(Event::Nudge(Nudge {
        woken: woken.ok_or(DecodeError::Field("runtime"))?,
        waker: f.u64(offset!(abi::Nudge, waker)),
        again: f.u8(offset!(abi::Nudge, again)) != 0,
    }))
}

fn passed(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Passed>() }>::of(body)?;
    let how = match f.u8(offset!(abi::Passed, how)) {
        abi::passed::DIRECT => PassedHow::Direct,
        abi::passed::PUT => PassedHow::Put,
        abi::passed::GOT => PassedHow::Got,
        _ => return Err(DecodeError::Field("how")),
    };
    let runtime = f.u8(offset!(abi::Passed, runtime));
    let one = |id: u64| match id {
        0 => Ok(None),
        id => execution(runtime, id, 0),
    };
    Ok(Event::Passed(Passed {
        giver: one(f.u64(offset!(abi::Passed, giver)))?,
        taker: one(f.u64(offset!(abi::Passed, taker)))?,
        how,
        place: f.u64(offset!(abi::Passed, place)),
        value: f.u64(offset!(abi::Passed, value)),
        queued: f.u8(offset!(abi::Passed, queued)) != 0,
        depth: f.u32(offset!(abi::Passed, depth)),
    }))
}

fn item(body: &[u8]) -> Result<Event<'_>, DecodeError> {
    let f = Fields::<{ size_of::<abi::Item>() }>::of(body)?;
    let how = match f.u8(offset!(abi::Item, how)) {
        abi::item::GIVEN => ItemHow::Given,
        abi::item::TAKEN => ItemHow::Taken,
        _ => return Err(DecodeError::Field("how")),
    };
    let what = match f.u8(offset!(abi::Item, what)) {
        abi::content::WORK => ItemWhat::Work,
        abi::content::RECORD => ItemWhat::Record,
        abi::content::MESSAGE => ItemWhat::Message,
        _ => return Err(DecodeError::Field("what")),
    };
    Ok(Event::Item(Item {
        id: f.u64(offset!(abi::Item, item)),
        how,
        what,
        execution: execution(
            f.u8(offset!(abi::Item, runtime)),
            f.u64(offset!(abi::Item, execution)),
            f.u64(offset!(abi::Item, origin)),
        )?,
    }))
}

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
    let captured = f.u32(offset!(abi::Data, captured)) as usize;
    let len = f.u32(offset!(abi::Data, len));
    let start = payload_at(version);
    if captured > len as usize {
        return Err(DecodeError::Field("captured"));
    }
    let Some(payload) = body.get(start..start + captured) else {
        return Err(DecodeError::Truncated {
            have: body.len(),
            need: start + captured,
        });
    };
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
