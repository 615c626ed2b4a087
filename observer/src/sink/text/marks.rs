//! Marks of verdicts: a sign and a word, readable without colour.

use observer_core::judged::{LogVerdict, Verdict};

use crate::sink::rows::Tone;

/// A verdict as it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) sign: char,
    pub(crate) word: &'static str,
    pub(crate) tone: Tone,
}

impl Mark {
    /// Sign and word, padded so that what follows stands in one column.
    pub(crate) fn padded(self) -> String {
        format!("{} {:<12}", self.sign, self.word)
    }
}

pub(crate) fn call(verdict: Verdict) -> Mark {
    let (sign, tone) = match verdict {
        Verdict::Propagated => ('✓', Tone::Good),
        Verdict::Forwarded => ('»', Tone::Good),
        Verdict::Translated => ('≈', Tone::Odd),
        Verdict::Dropped => ('✗', Tone::Bad),
        Verdict::Restarted => ('↻', Tone::Bad),
        Verdict::Crossed => ('×', Tone::Bad),
        Verdict::Mangled => ('≠', Tone::Bad),
        Verdict::Originated => ('+', Tone::Plain),
        Verdict::Absent => ('○', Tone::Faint),
        Verdict::Inconclusive => ('?', Tone::Faint),
    };
    Mark {
        sign,
        word: verdict.name(),
        tone,
    }
}

pub(crate) fn line(verdict: LogVerdict) -> Mark {
    let (sign, tone) = match verdict {
        LogVerdict::Linked => ('✓', Tone::Good),
        LogVerdict::Reencoded => ('≈', Tone::Odd),
        LogVerdict::Missing => ('✗', Tone::Bad),
        LogVerdict::Zero => ('0', Tone::Bad),
        LogVerdict::Crossed => ('×', Tone::Bad),
        LogVerdict::Foreign => ('!', Tone::Bad),
        LogVerdict::Unscoped => ('·', Tone::Faint),
        LogVerdict::Absent => ('○', Tone::Faint),
        LogVerdict::Inconclusive => ('?', Tone::Faint),
    };
    Mark {
        sign,
        word: verdict.name(),
        tone,
    }
}
