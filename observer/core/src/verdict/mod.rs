//! Verdicts: judging what was attributed.

mod call;
mod line;

pub use call::{CallJudgement, judge_call};
pub use line::{LineJudgement, judge_line};
