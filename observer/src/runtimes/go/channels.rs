//! Channels: where the runtime hands a goroutine's value to another one, at once or through a queue.
//!
//! All of these places or none: whoever takes something unseen would seem to do still what it had taken before.

use observer_abi::{control::LAYOUT_WORDS, go};

use super::sites::Call;
use super::{Code, registers, sites};
use crate::kernel::UserProbe;

/// How the names of the functions begin with which `net/http`'s client begins the goroutines of a connection.
const CONNECTIONS: &str = "net/http.(*Transport).dialConn.";

/// Where values go into queues and come out of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Queued {
    puts: Vec<u64>,
    gets: Vec<u64>,
}

/// Values that pass between goroutines (`runtime/chan.go`, `runtime/select.go`).
pub fn passes(code: &Code<'_>, words: &mut [u64; LAYOUT_WORDS]) -> Result<Vec<UserProbe>, String> {
    fields(code, words).ok_or("the types of its channels are not as known")?;
    let (mut gets, mut others) = (Vec::new(), Vec::new());
    let (moves, _) = code.function("runtime.typedmemmove")?;
    let (clears, _) = code.function("runtime.typedmemclr")?;
    for (name, put, got) in [
        ("runtime.chansend", 1, 0),
        ("runtime.chanrecv", 0, 1),
        ("runtime.selectgo", 1, 1),
    ] {
        let (range, bytes) = code.function(name)?;
        let queued = queued(&sites::calls(&bytes, range), moves.start, clears.start);
        if (queued.puts.len(), queued.gets.len()) != (put, got) {
            return Err(format!("{name} does not use queues as is known"));
        }
        for put in queued.puts {
            others.push(code.probe("go_queued", put)?);
        }
        for get in queued.gets {
            gets.push(code.probe("go_cleared", get)?);
        }
    }
    for (program, name) in [("go_received", "runtime.recv"), ("go_sent", "runtime.send")] {
        let (range, bytes) = code.function(name)?;
        others.push(code.probe(program, sites::entry(&bytes, range))?);
    }
    // In this order nobody's taking is seen before it is seen what is taken after that.
    gets.extend(others);
    Ok(gets)
}

/// A value that comes out of a queue is copied, if it is wanted, and its place is cleared after that; one that
/// goes in is copied.
fn queued(calls: &[Call], moves: u64, clears: u64) -> Queued {
    let mut found = Queued::default();
    for (at, call) in calls.iter().enumerate() {
        if call.callee != moves {
            continue;
        }
        match calls.get(at + 1) {
            Some(next) if next.callee == clears => found.gets.push(next.at),
            _ => found.puts.push(call.at),
        }
    }
    found
}

/// Where channels, and who waits for them, keep what is read.
fn fields(code: &Code<'_>, words: &mut [u64; LAYOUT_WORDS]) -> Option<()> {
    let types = code.types;
    let channel = types.structure("runtime", "runtime.hchan")?;
    let waiting = types.structure("runtime", "runtime.sudog")?;
    let g = types.structure("runtime", "runtime.g")?;
    let parked = types.of_field(&g, "sched")?.offset("bp")?;
    for (word, register) in go::ARGUMENTS.into_iter().zip(registers::ARGUMENTS) {
        words[word] = register;
    }
    words[go::FRAME] = registers::FRAME;
    words[go::WAITS] = waiting.offset("g")?;
    words[go::ELEM] = waiting.offset("elem")?;
    words[go::PARKED] = g.offset("sched")?.checked_add(parked)?;
    words[go::QUEUE] = channel.offset("dataqsiz")?;
    words[go::BUF] = channel.offset("buf")?;
    words[go::ELEM_SIZE] = channel.offset("elemsize")?;
    words[go::RECV] = channel.offset("recvx")?;
    words[go::START] = g.offset("startpc")?;
    // A program without the client has no such functions.
    if let Some(range) = code.functions.span(CONNECTIONS) {
        words[go::CONNECTIONS[0]] = range.start;
        words[go::CONNECTIONS[1]] = range.start.checked_add(range.len)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOVE: u64 = 1;
    const CLEAR: u64 = 2;
    const OTHER: u64 = 3;

    fn calls(callees: &[u64]) -> Vec<Call> {
        let numbered = (100..).zip(callees);
        numbered.map(|(at, &callee)| Call { at, callee }).collect()
    }

    #[test]
    fn what_is_cleared_after_it_was_copied_came_out() {
        let found = queued(
            &calls(&[CLEAR, MOVE, OTHER, MOVE, CLEAR, CLEAR, MOVE]),
            MOVE,
            CLEAR,
        );
        let expected = Queued {
            puts: vec![101, 106],
            gets: vec![104],
        };
        assert_eq!(found, expected);
        assert_eq!(queued(&[], MOVE, CLEAR), Queued::default());
    }
}
