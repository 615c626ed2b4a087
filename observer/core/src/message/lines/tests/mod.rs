//! Tests of log lines.

mod properties;

use super::*;

/// A log under test.
#[derive(Default)]
struct Log {
    lines: Lines,
    out: Vec<LogLine>,
    pos: u64,
    time: u64,
}

impl Log {
    fn call(&mut self, tid: u32, pieces: &[&[u8]]) -> &mut Self {
        for (i, piece) in pieces.iter().enumerate() {
            self.piece(tid, piece, 0, i + 1 < pieces.len());
        }
        self
    }

    fn write(&mut self, tid: u32, text: &str) -> &mut Self {
        self.piece(tid, text.as_bytes(), 0, false)
    }

    fn piece(&mut self, tid: u32, bytes: &[u8], cut: u32, more: bool) -> &mut Self {
        self.time += 1;
        let len = u32::try_from(bytes.len()).unwrap() + cut;
        let chunk = Chunk {
            tid: Tid(tid),
            time: KernelNanos(self.time),
            pos: self.pos,
            len,
            bytes,
            nonblocking: false,
            execution: None,
        };
        self.pos += u64::from(len);
        let out = &mut self.out;
        self.lines.write(&chunk, more, &mut |line| out.push(line));
        self
    }

    fn flush_after(&mut self, nanos: u64) -> &mut Self {
        self.time += nanos;
        let out = &mut self.out;
        self.lines
            .flush(KernelNanos(self.time), &mut |line| out.push(line));
        self
    }

    fn end(&mut self) -> &mut Self {
        let out = &mut self.out;
        self.lines.end(&mut |line| out.push(line));
        self
    }

    /// Events since the last call: text, with `!` when cut and `*` when batched.
    fn told(&mut self) -> Vec<String> {
        self.out
            .drain(..)
            .map(|line| {
                let cut = if line.cut { "!" } else { "" };
                let batched = if line.batched { "*" } else { "" };
                format!("{}{cut}{batched}", line.text)
            })
            .collect()
    }
}

#[test]
fn a_call_is_a_line() {
    let mut log = Log::default();
    log.write(1, "one\n").write(2, "two\r\n").write(1, "\n");
    assert_eq!(log.told(), ["one", "two"]);
}

#[test]
fn lines_split_over_calls_are_joined_per_thread() {
    let mut log = Log::default();
    log.write(1, "a1 ")
        .write(2, "b1 ")
        .write(1, "a2\r")
        .write(2, "b2\n")
        .write(1, "\n");
    assert_eq!(log.told(), ["b1 b2", "a1 a2"]);
}

#[test]
fn a_joined_line_tells_all_that_moved_it() {
    let mut log = Log::default();
    log.write(1, "a").write(1, "b\n").write(1, "c\n");
    let first = log.out[0].moved;
    assert_eq!((first.since, first.time), (KernelNanos(1), KernelNanos(2)));
    assert_eq!(log.out[0].write, 2);
    assert_eq!(log.out[1].write, 3);
}

#[test]
fn many_lines_in_a_call_are_batched_and_share_its_number() {
    let mut log = Log::default();
    log.write(1, "a\nb\nc\n").write(1, "d\n");
    let writes: Vec<_> = log.out.iter().map(|line| line.write).collect();
    assert_eq!(writes, [1, 1, 1, 2]);
    assert_eq!(log.told(), ["a*", "b*", "c*", "d"]);
    log.write(1, "e\nf").write(1, "g\n");
    assert_eq!(log.told(), ["e*", "fg*"]);
}

#[test]
fn the_pieces_of_a_call_are_one_write() {
    let mut log = Log::default();
    log.call(1, &[b"time ", b"level ", b"message", b"\n"]);
    assert_eq!(log.out[0].write, 1);
    assert_eq!(log.told(), ["time level message"]);
    log.call(1, &[b"a\n", b"b\n"]);
    assert_eq!(log.told(), ["a*", "b*"]);
    log.call(1, &[b"ValueError\n", b"  File\n"]);
    assert_eq!(log.told(), ["ValueError\n  File"]);
}

#[test]
fn a_writer_that_flushes_buffers_is_remembered() {
    let mut log = Log::default();
    let line = "x".repeat(600);
    log.write(1, &format!("{line}\n{line}"));
    // Its first call may have begun amid a line.
    assert_eq!(log.told(), [format!("{line}!*")]);
    log.write(1, "\n").write(1, "alone\n").write(2, "alone\n");
    assert_eq!(
        log.told(),
        [format!("{line}*"), "alone*".into(), "alone*".into()]
    );
}

#[test]
fn continuation_lines_belong_to_their_event() {
    for event in [
        "ERROR x\njava.lang.E: y\n\tat a.b(C.java:1)\nCaused by: z\n\t... 3 more\n",
        "{\n  \"a\": 1\n}\n",
        "ERROR x\nTraceback (most recent call last):\n  File \"a\"\n    b()\nValueError: no\n",
        "  INFO padded\n    deeper\n",
    ] {
        let mut log = Log::default();
        log.write(1, event);
        let told = log.told();
        let first_is_apart = event.starts_with("ERROR x\njava");
        assert_eq!(told.len(), 1 + usize::from(first_is_apart), "{told:?}");
        assert_eq!(told.join("").replace('*', ""), {
            let text = event.trim_end();
            if first_is_apart {
                text.replacen('\n', "", 1)
            } else {
                text.to_owned()
            }
        });
    }
    let mut log = Log::default();
    log.write(1, " INFO a\n INFO b\n");
    assert_eq!(log.told(), [" INFO a*", " INFO b*"]);
}

#[test]
fn a_trace_split_over_two_calls_is_one_event() {
    let mut log = Log::default();
    log.write(1, "ERROR x\n  File a\n  Fi").write(1, "le b\n");
    assert_eq!(log.told(), ["ERROR x\n  File a\n  File b"]);
}

#[test]
fn long_lines_are_cut() {
    let mut log = Log::default();
    let long = "x".repeat(MAX_LINE + 1);
    log.write(1, &format!("{long}\n"));
    log.write(1, &long).write(1, "y\n").write(1, "z\n");
    let told = log.told();
    assert_eq!(told[0], format!("{}!", &long[1..]));
    assert_eq!(told[1], format!("{}!*", &long[1..]));
    assert_eq!(told[2], "z*");
}

#[test]
fn bytes_that_were_not_captured_cut_the_line() {
    let mut log = Log::default();
    log.piece(1, b"a\nb", 10, false)
        .write(1, "c\n")
        .write(1, "d\n");
    assert_eq!(log.told(), ["a*", "b!*", "c!", "d"]);
}

#[test]
fn a_log_that_always_wrote_whole_lines_is_trusted_after_a_cut() {
    let mut log = Log::default();
    for _ in 0..TRUSTED_CALLS {
        log.write(1, "a\n");
    }
    log.told();
    log.piece(1, b"b", 10, false).write(1, "c\n");
    assert_eq!(log.told(), ["b!", "c"]);
}

#[test]
fn lost_bytes_cut_what_may_have_lost_its_end_or_beginning() {
    let mut log = Log::default();
    log.write(1, "begun ").write(2, "begun ");
    log.pos += 100;
    log.write(1, "rest\n").write(2, "rest\n").write(3, "rest\n");
    assert_eq!(
        log.told(),
        ["begun !", "begun !", "rest!", "rest!", "rest!"]
    );
    log.write(1, "a\n");
    assert_eq!(log.told(), ["a!"], "the hole is near");
    log.flush_after(2_000_000_000).write(1, "b\n");
    assert_eq!(log.told(), ["b"]);
}

#[test]
fn threads_reported_out_of_order_cut_nothing() {
    let mut log = Log::default();
    for _ in 0..TRUSTED_CALLS {
        log.write(1, "a\n");
    }
    log.told();
    log.pos += 6;
    log.write(1, "later\n");
    log.pos -= 12;
    log.write(2, "early\n");
    log.pos += 6;
    log.write(3, "next\n");
    assert_eq!(log.told(), ["later", "early", "next"]);
}

#[test]
fn a_line_without_its_end_is_told_after_a_while() {
    let mut log = Log::default();
    log.write(1, "prompt> ").flush_after(IDLE_NANOS - 1);
    assert_eq!(log.told(), [""; 0]);
    log.flush_after(1);
    assert_eq!(log.told(), ["prompt> "]);
    // What then follows may be the rest of it.
    log.write(1, "answer\n").write(1, "next\n");
    assert_eq!(log.told(), ["answer!", "next"]);
}

#[test]
fn the_end_tells_what_is_left() {
    let mut log = Log::default();
    log.write(2, "two").write(1, "one").end().end();
    assert_eq!(log.told(), ["one", "two"]);
    log.write(1, "left");
    let out = &mut log.out;
    log.lines.end_thread(Tid(1), &mut |line| out.push(line));
    assert_eq!(log.told(), ["left"]);
}

#[test]
fn binary_data_is_not_a_log() {
    let mut log = Log::default();
    let image = [0u8, 1, 2, 3, 10, 0, 255, 7, 10];
    log.call(1, &[&image]).call(1, &[&image]);
    assert!(log.lines.is_text());
    log.write(1, "text again\n").call(1, &[&image]);
    assert!(log.lines.is_text());
    log.call(1, &[&image]).call(1, &[&image]);
    assert!(!log.lines.is_text());
    log.write(1, "text\n");
    assert_eq!(log.told(), ["text again"]);
}

#[test]
fn a_line_may_hold_a_nul() {
    let mut log = Log::default();
    log.write(1, "short \0\n")
        .write(1, "GET /a\0/etc/passwd.html 200\n")
        .write(1, &format!("{}\0é\n", "é".repeat(63)));
    let long = format!("{}\0é", "é".repeat(63));
    assert_eq!(
        log.told(),
        ["short \0", "GET /a\0/etc/passwd.html 200", long.as_str()]
    );
    assert!(!log.lines.has_binary());
    for image in [
        &b"\0\0\0\x20length before the text.........\n"[..],
        b"\x20\0length before the text.........\n",
        b"some text \0\0\0\x05hello, and more of it\n",
        b"not UTF-8 \xff\xfe\0, and more of it\n",
    ] {
        log.call(1, &[image]).write(1, "text\n");
        assert_eq!(log.told(), ["text"], "{image:?}");
        assert!(log.lines.has_binary() && log.lines.is_text());
    }
}

#[test]
fn unfinished_lines_are_bounded() {
    let mut log = Log::default();
    for tid in 0..200 {
        log.write(tid, &format!("line of {tid}"));
    }
    assert!(log.lines.threads.len() <= MAX_THREADS);
    let told = log.told();
    assert_eq!(told.len(), 200 - MAX_THREADS);
    assert_eq!(told[0], "line of 0!");
}
