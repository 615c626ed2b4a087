//! Log lines with their traces, and nothing else: for people who have a terminal or a log shipper.

use std::io::{self, Write};

use observer_core::healing::enrich::enriched;
use observer_core::healing::{Healed, LogRecord};
use observer_core::ids::KernelNanos;
use observer_core::judged::{Judged, Summary};

use super::Sink;
use crate::stderr::say;

/// Written out when this many bytes have come together, or at a tick.
const BUFFER: usize = 64 * 1024;

/// Prints each line once: with its trace, where that is known and the line does not say it itself.
pub(super) struct LinesSink<W> {
    out: W,
    buffer: Vec<u8>,
    lines: u64,
    gained: u64,
}

impl<W: Write> LinesSink<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(2 * BUFFER),
            lines: 0,
            gained: 0,
        }
    }

    fn add(&mut self, record: &LogRecord) {
        self.lines += 1;
        match record.trace_id {
            Some(trace) if record.healed => {
                self.gained += 1;
                let line = enriched(&record.line, trace, record.span_id);
                self.buffer.extend_from_slice(line.as_bytes());
            }
            _ => self.buffer.extend_from_slice(record.line.as_bytes()),
        }
        self.buffer.push(b'\n');
    }

    fn drain(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Sink for LinesSink<W> {
    fn judged(&mut self, _item: Judged) -> io::Result<()> {
        Ok(())
    }

    fn healed(&mut self, item: Healed) -> io::Result<()> {
        if let Healed::Log(record) = item {
            self.add(&record);
            if self.buffer.len() >= BUFFER {
                self.drain()?;
            }
        }
        Ok(())
    }

    fn tick(&mut self, _now: KernelNanos) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.drain()?;
        self.out.flush()
    }

    fn finish(&mut self, _summary: Summary) -> io::Result<()> {
        self.drain()?;
        self.out.flush()?;
        let (lines, gained) = (self.lines, self.gained);
        say(format_args!(
            "{lines} lines, {gained} of which gained their trace"
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use observer_core::healing::ids::{SpanId, TraceId};
    use observer_core::healing::{Provenance, Resource};
    use observer_core::ids::Tgid;
    use observer_core::judged::LogVerdict;

    use super::*;
    use crate::sink::samples;

    fn record(line: &str, healed: bool) -> Healed {
        Healed::Log(Box::new(LogRecord {
            time: samples::at(0),
            line: line.into(),
            source: "stdout".into(),
            trace_id: TraceId::new(1),
            span_id: SpanId::new(2),
            sampled: true,
            healed,
            severity: None,
            provenance: Provenance {
                tier: None,
                confidence: 1.0,
                verdict: None,
            },
            verdict: if healed {
                LogVerdict::Missing
            } else {
                LogVerdict::Linked
            },
            resource: Arc::new(Resource {
                service: "cart".into(),
                pid: Tgid(1),
                attributes: std::collections::BTreeMap::new(),
            }),
        }))
    }

    #[test]
    fn lines_that_lacked_their_trace_gain_it_and_others_stay() {
        let mut out = Vec::new();
        let mut sink = LinesSink::new(&mut out);
        for (line, healed) in [("plain", true), ("{\"m\":1}", true), ("said", false)] {
            sink.healed(record(line, healed)).unwrap();
        }
        sink.tick(KernelNanos(1)).unwrap();
        drop(sink);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("plain trace_id=0000"), "{text}");
        assert!(
            lines[1].contains(r#""span_id":"0000000000000002""#),
            "{text}"
        );
        assert_eq!(lines[2], "said");
    }
}
