//! Tells how something was decided, where that was asked for.

use super::common::Common;
use crate::attribution::{Doer, Story, Subject, Work};
use crate::judged::{Candidate, ExchangeId, Explanation, Judged, LogId};
use crate::text::Text;

/// How it was decided what `subject` is of.
pub(super) fn explanation(
    common: &Common,
    subject: &Subject,
    doer: Option<Doer>,
    story: Story,
) -> Judged {
    let wall = |time| common.wall(time);
    let of = match subject.work {
        Work::Line(_) => LogId(subject.seq).to_string(),
        _ => ExchangeId(subject.seq).to_string(),
    };
    let execution = doer.map(|doer| {
        let took = if doer.took {
            " (it took the connection)"
        } else {
            ""
        };
        format!("{} {}{took}", doer.execution.kind, doer.execution.id)
    });
    let candidates = story.candidates.into_iter();
    Judged::Explanation(Box::new(Explanation {
        of: of.into(),
        pid: subject.tgid,
        tid: subject.tid,
        execution: execution.map(Text::from),
        time: wall(subject.time),
        candidates: candidates
            .map(|(request, tid, since, until, claim)| Candidate {
                request: ExchangeId(request),
                tid,
                since: wall(since),
                until: until.map(wall),
                thread: claim.to_string().into(),
            })
            .collect(),
        evidence: story.evidence,
        same_trace: story.same_trace.into_iter().map(ExchangeId).collect(),
        request: story.request.map(ExchangeId),
        attribution: story.attribution,
    }))
}
