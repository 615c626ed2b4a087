//! Threads that take a client connection for their next exchange, although another one may move the
//! bytes: a selector of an HTTP client writes what the requesting thread hands to it, but that one
//! has connected the socket, or has looked whether the pooled connection is still alive.

use observer_abi::{Take, control::call, data_flag, kind, runtime, take};

use crate::{
    emit::Piece,
    execution,
    file::{Direction, is_socket},
    heap,
    maps::{CLIENT, FileState, NO_TURN, ThreadState},
    mem, ring,
    thread::Thread,
};

/// There is nothing to read; `asm-generic/errno-base.h`.
pub const EAGAIN: i64 = 11;
/// The connection is being made; `asm-generic/errno.h`.
const EINPROGRESS: i64 = 115;

/// `connect` returned `ret`. Calling it again on the same description only asks how it went.
#[inline(always)]
pub fn connected(caller: Thread, regs: u64, call: &mut ThreadState, state: &FileState, ret: i64) {
    if (ret == 0 || ret == -EINPROGRESS)
        && is_socket(state.class.get())
        && state.bits.get() & CLIENT == 0
    {
        state.bits.set(state.bits.get() | CLIENT);
        send(caller, regs, call, state);
    }
}

/// A read found nothing. Whoever read last goes on until there is nothing more, and whoever waits for
/// a response may look too early: neither takes the connection. A pool's thread that read last for another task takes it. Where virtual threads share the workers of a client, of whose tasks it
/// is known who made them, whoever looked last is told anyhow: such a worker looks after the connection that it read from itself.
#[inline(always)]
pub fn probed(caller: Thread, regs: u64, call: &mut ThreadState, state: &FileState) {
    let between = state.turn.get() == Direction::Read as u8;
    let looks = state.bits.get() & CLIENT != 0 && between;
    let other = || state.reader.get() != caller.tid();
    if looks && (other() || heap::has_fresh_task(caller) || heap::is_shared(caller)) {
        state.reader.set(caller.tid());
        send(caller, regs, call, state);
    }
}

/// The piece's thread has read something. A connection on which a response comes first was made before the process was watched.
#[inline(always)]
pub fn read(call: &ThreadState, state: &FileState, piece: &Piece) {
    if state.turn.get() == NO_TURN
        && is_socket(state.class.get())
        && begins_response(call.call, call.buffer)
    {
        state.bits.set(state.bits.get() | CLIENT);
    }
    if state.bits.get() & CLIENT != 0 {
        state.reader.set(piece.pid_tgid.get() as u32);
    }
}

/// Whether what was read into `buffer`, which is a vector if `call` takes one, begins a response of HTTP/1.
#[inline(always)]
fn begins_response(call: u8, buffer: u64) -> bool {
    let first = match call {
        call::RECVMSG => None,
        call::READV => mem::user(buffer),
        _ => Some(buffer),
    };
    first.and_then(mem::user::<[u8; 7]>) == Some(*b"HTTP/1.")
}

/// Where executions dial for each other, as goroutines do, or where the one that moves the bytes is
/// known, this tells nothing.
#[inline(never)]
fn send(caller: Thread, regs: u64, call: &mut ThreadState, state: &FileState) {
    let mut execution = execution::current(caller, regs);
    if matches!(execution.runtime, runtime::PUBLISHED | runtime::PINNED) {
        execution = execution::Execution::NONE;
    }
    let tells = match execution.runtime {
        runtime::NONE | runtime::JAVA => true,
        // What looks whether it is alive may be done with it.
        runtime::HAPROXY => call.call == call::CONNECT,
        _ => false,
    };
    if !tells {
        return;
    }
    let now = ring::now();
    heap::tell(caller, now);
    let Some(mut entry) = ring::reserve::<Take>() else {
        return;
    };
    let len = size_of::<Take>() as u32;
    let mut header = ring::header(kind::TAKE, len, caller.pid_tgid, now);
    header.flags = call.flags as u8 & data_flag::NONBLOCK;
    header.waited = call.waited;
    call.waited = 0;
    let how = if call.call == call::CONNECT {
        take::CONNECT
    } else {
        take::PROBE
    };
    entry.write(Take {
        header,
        file: state.id,
        execution: execution.id,
        origin: execution.origin,
        fd: call.fd,
        runtime: execution.runtime,
        how,
        reserved: 0,
    });
    entry.submit(ring::wakeup());
}
