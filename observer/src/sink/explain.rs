//! The story of one attribution, and nothing else.

use std::io::{self, Write};

use observer_core::ids::KernelNanos;
use observer_core::judged::{Explanation, Judged, Summary};

use super::Sink;
use crate::cli::show::Output;
use crate::stderr::say;

/// Writes the explanation when it comes.
pub(super) struct ExplainSink<W> {
    out: W,
    output: Output,
    told: bool,
}

impl<W: Write> ExplainSink<W> {
    pub(super) fn new(output: Output, out: W) -> Self {
        Self {
            out,
            output,
            told: false,
        }
    }

    fn people(&mut self, story: &Explanation) -> io::Result<()> {
        let out = &mut self.out;
        writeln!(
            out,
            "{} of process {}, thread {}, at {}",
            story.of, story.pid, story.tid, story.time
        )?;
        if let Some(execution) = &story.execution {
            writeln!(out, "  done by      {execution}")?;
        }
        writeln!(out, "  in flight    {} requests", story.candidates.len())?;
        for candidate in &story.candidates {
            let until = candidate.until.map(|t| t.to_string());
            writeln!(
                out,
                "    {}  read by thread {} at {}, answered {}: {}",
                candidate.request,
                candidate.tid,
                candidate.since,
                until.as_deref().unwrap_or("not yet"),
                candidate.thread
            )?;
        }
        for weighed in &story.evidence {
            let names = weighed
                .request
                .map(|r| format!("{r}: "))
                .unwrap_or_default();
            writeln!(out, "  {:<22} {names}{}", weighed.of, weighed.says)?;
        }
        let same: Vec<String> = story.same_trace.iter().map(ToString::to_string).collect();
        let same = if same.is_empty() {
            "no request".to_owned()
        } else {
            same.join(", ")
        };
        writeln!(out, "  its trace-id came in with {same}")?;
        match (&story.request, &story.attribution.reason) {
            (Some(request), _) => writeln!(
                out,
                "  so it belongs to {request}, with confidence {:.3}",
                story.attribution.confidence
            ),
            (None, Some(reason)) => writeln!(out, "  so it belongs to no known request: {reason}"),
            (None, None) => writeln!(out, "  so it belongs to no known request"),
        }
    }
}

impl<W: Write> Sink for ExplainSink<W> {
    fn judged(&mut self, item: Judged) -> io::Result<()> {
        let Judged::Explanation(story) = &item else {
            return Ok(());
        };
        self.told = true;
        match self.output {
            Output::Text => self.people(story)?,
            Output::Json => {
                serde_json::to_writer(&mut self.out, &item)?;
                writeln!(self.out)?;
            }
        }
        self.out.flush()
    }

    fn tick(&mut self, _now: KernelNanos) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _summary: Summary) -> io::Result<()> {
        if !self.told {
            say(
                "no call and no log line with that id was judged; ids are those of the JSON output",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::samples;

    fn shown(output: Output) -> String {
        let mut out = Vec::new();
        let mut sink = ExplainSink::new(output, &mut out);
        let line = samples::log(observer_core::judged::LogVerdict::Linked);
        sink.judged(Judged::Log(Box::new(line))).unwrap();
        let story = Judged::Explanation(Box::new(samples::explanation()));
        sink.judged(story).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_read_candidates_evidence_and_the_choice() {
        assert_eq!(
            shown(Output::Text),
            "\
x2 of process 40, thread 41, at 2026-11-21T04:16:35.001000000Z
  done by      goroutine 7
  in flight    2 requests
    x1  read by thread 41 at 2026-11-21T04:16:35.000000000Z, answered not yet: thread 41 did all the work on it
    x1  read by thread 41 at 2026-11-21T04:16:35.000000000Z, answered 2026-11-21T04:16:35.009000000Z: thread 41 did all the work on it
  correlation ids        nothing
  threads and hand-off   x1: thread 41 read the request
  its trace-id came in with x1
  so it belongs to x1, with confidence 0.000
"
        );
    }

    #[test]
    fn programs_get_one_object_and_nothing_else() {
        let shown = shown(Output::Json);
        assert_eq!(shown.lines().count(), 1);
        let object: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(object["kind"], "explanation");
    }
}
