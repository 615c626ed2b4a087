//! What must not matter: how lines are split over calls, who writes between, what is lost.

use proptest::prelude::*;

use super::Log;

const THREADS: usize = 3;

/// What one thread logs, and where its calls end.
#[derive(Clone, Debug)]
struct Author {
    lines: Vec<String>,
    /// Lengths of its calls, used in turn.
    calls: Vec<usize>,
}

fn author() -> impl Strategy<Value = Author> {
    (
        proptest::collection::vec("[b-zé][a-zé \\]}]{0,20}[a-z]", 0..12),
        proptest::collection::vec(1usize..60, 1..6),
    )
        .prop_map(|(lines, calls)| Author { lines, calls })
}

/// The calls of all authors, interleaved.
fn interleave(authors: &[Author], order: &[usize]) -> Vec<(usize, Vec<u8>)> {
    let mut queues: Vec<Vec<Vec<u8>>> = authors
        .iter()
        .map(|author| {
            let text: Vec<u8> = author
                .lines
                .iter()
                .flat_map(|l| [l.as_bytes(), b"\n"].concat())
                .collect();
            let mut rest = &text[..];
            let mut calls = Vec::new();
            for len in author.calls.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (call, after) = rest.split_at((*len).min(rest.len()));
                calls.push(call.to_vec());
                rest = after;
            }
            calls.reverse();
            calls
        })
        .collect();
    let mut out = Vec::new();
    for author in order.iter().cycle() {
        if queues.iter().all(Vec::is_empty) {
            break;
        }
        if let Some(call) = queues[*author].pop() {
            out.push((*author, call));
        }
    }
    out
}

fn order() -> impl Strategy<Value = Vec<usize>> {
    // All authors have their turn, so that no one's calls are left.
    proptest::collection::vec(0..THREADS, 0..20).prop_map(|mut order| {
        order.extend(0..THREADS);
        order
    })
}

/// Bytes with many ends of lines.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..60).prop_map(|mut bytes| {
        for byte in &mut bytes {
            *byte = match *byte % 8 {
                0 => b'\n',
                1 => b' ',
                2..6 => b'x',
                _ => *byte,
            };
        }
        bytes
    })
}

fn tid(author: usize) -> u32 {
    u32::try_from(author).unwrap()
}

proptest! {
    #[test]
    fn each_thread_is_read_on_its_own(authors in proptest::collection::vec(author(), THREADS), order in order()) {
        let mut log = Log::default();
        for (author, call) in interleave(&authors, &order) {
            log.piece(tid(author), &call, 0, false);
        }
        log.end();
        for (number, author) in authors.iter().enumerate() {
            let told: Vec<_> = log.out.iter().filter(|l| l.moved.tid.0 == tid(number)).collect();
            prop_assert!(told.iter().all(|l| !l.cut && l.moved.one_thread));
            let told: Vec<_> = told.iter().map(|l| l.text.clone()).collect();
            prop_assert_eq!(&told, &author.lines);
        }
    }

    /// A log whose calls end amid lines now and then: whatever is lost or cut, a line that is
    /// told whole was written just so by that thread.
    #[test]
    fn loss_never_makes_up_a_line(
        authors in proptest::collection::vec(author(), THREADS),
        order in order(),
        fates in proptest::collection::vec(0usize..12, 1..50),
    ) {
        let mut log = Log::default();
        log.write(99, "no end of line yet");
        for ((author, call), fate) in interleave(&authors, &order).iter().zip(fates.iter().cycle()) {
            match fate {
                0 => log.pos += call.len() as u64,
                1 => { log.piece(tid(*author), &call[..call.len() / 2], u32::try_from(call.len().div_ceil(2)).unwrap(), false); }
                _ => { log.piece(tid(*author), call, 0, false); }
            }
        }
        // What is lost at the very end shows when something follows it.
        log.write(99, "\n").end();
        for line in log.out.iter().filter(|l| !l.cut && l.moved.tid.0 != 99) {
            let author = &authors[line.moved.tid.0 as usize];
            prop_assert!(author.lines.contains(&line.text), "{:?}", line);
        }
    }

    #[test]
    fn nothing_panics_or_grows(calls in proptest::collection::vec(
        (0u32..100, noise(), 0u32..3, any::<bool>(), 0u64..50),
        0..60,
    )) {
        let mut log = Log::default();
        for (tid, bytes, cut, more, skip) in calls {
            log.pos += skip / 40;
            log.piece(tid, &bytes.repeat(if tid % 8 == 0 { 400 } else { 1 }), cut / 2, more);
            log.flush_after(skip * 20_000_000);
            prop_assert!(log.lines.threads.len() <= super::super::MAX_THREADS);
        }
        log.end();
        prop_assert!(log.out.iter().all(|l| l.text.len() <= 3 * super::super::MAX_LINE));
    }
}
