//! tokio: the task that is polled on each thread, which task begins another, and which has another one run again.
//!
//! Where the current task's id lies is read from tokio's own code, which stores it there ([`code`]); names of
//! functions and variables are needed for that, so that a stripped program tells nothing.

mod code;
mod program;

use std::ops::Range;

use observer_abi::{control::Layout, runtime, tokio as word};
use observer_core::record::ExecutionKind;

use self::program::{Function, Program};
use super::memory::Memory;
use super::{Plan, Unavailable};
use crate::facts::Process;
use crate::kernel::UserProbe;

/// The thread-local variable that holds the current task's id among others (`tokio/src/runtime/context.rs`); so
/// named by both ways of mangling, as are those below.
const CONTEXT: &str = "5tokio7runtime7context7CONTEXT";
/// The id of the next task (`tokio/src/runtime/task/id.rs`).
const NEXT_ID: [&str; 2] = ["5tokio7runtime4task2id2Id4next7NEXT_ID", "2Id4next7NEXT_ID"];
/// What stores the current task's id: `TaskIdGuard`, what that calls, or polls of tasks, into which it is inlined.
const STORING: [&[&str]; 4] = [
    &["tokio", "TaskIdGuard"],
    SETTING,
    &["5tokio7runtime4task3raw4poll"],
    &["5tokio7runtime4task7harness", "4poll"],
];
/// The same where nothing is inlined.
const SETTING: &[&str] = &["5tokio7runtime7context", "set_current_task_id"];

/// How the tasks of `process` are told apart; `None` if it shows no tokio.
pub fn plan(process: &Process) -> Option<Result<Plan, Unavailable>> {
    let program = Program::open(process)?;
    if program.stripped {
        return program.mentions_tokio.then(|| {
            Err(because(
                "its executable has no symbols (built with strip, or stripped)",
            ))
        });
    }
    let context = match program.variable(CONTEXT) {
        Ok(context) => context?,
        Err(why) => return Some(Err(because(why))),
    };
    Some(planned(process, &program, &context).map_err(because))
}

fn because(why: &str) -> Unavailable {
    Unavailable(format!("tasks of tokio can't be told apart: {why}"))
}

fn planned(
    process: &Process,
    program: &Program,
    context: &Range<i64>,
) -> Result<Plan, &'static str> {
    let current = current(program, context)?;
    let bias = program
        .bias(process)
        .ok_or("its executable is not mapped")?;
    let next = NEXT_ID
        .iter()
        .find_map(|name| program.address(name).transpose());
    let next = next.ok_or("its counter of tasks has no symbol")??;
    let next = next.wrapping_add(bias);
    let memory = Memory::of(process).map_err(|_| "its memory can't be read")?;
    // Counted up from 1: more than this were never begun.
    const MOST: u64 = 1 << 48;
    if !memory
        .word(next)
        .is_some_and(|next| (1..MOST).contains(&next))
    {
        return Err("its counter of tasks counts nothing");
    }
    let mut layout = Layout {
        runtime: runtime::TOKIO.into(),
        ..Layout::default()
    };
    layout.words[word::CURRENT] = current.cast_unsigned();
    layout.words[word::NEXT] = next;
    let (mut probes, mut missing) = (Vec::new(), Vec::new());
    let sensors: [(&str, &'static str, &[&str]); 3] = [
        (
            "which task begins another",
            "tokio_branch",
            &["5tokio7runtime4task4list", "10bind_inner"],
        ),
        (
            "which task wakes another",
            "tokio_wake",
            &["5tokio7runtime4task5waker11wake_by_val"],
        ),
        (
            "which task wakes another",
            "tokio_wake",
            &["5tokio7runtime4task5waker11wake_by_ref"],
        ),
    ];
    for (told, probe, parts) in sensors {
        let before = probes.len();
        let places = program.functions(parts).filter_map(|f| {
            Some(UserProbe {
                program: probe,
                file: process.image(),
                offset: program.offset(code::entry(&f))?,
            })
        });
        probes.extend(places);
        if probes.len() == before {
            missing.push(format!(
                "{told}: the function {} was inlined",
                parts[parts.len() - 1]
            ));
        }
    }
    Ok(Plan {
        kind: ExecutionKind::TokioTask,
        layout,
        probes,
        missing,
        stepped: false,
    })
}

/// Where the current task's id lies, as counted from the thread pointer.
fn current(program: &Program, context: &Range<i64>) -> Result<i64, &'static str> {
    let only = |mut found: Vec<i64>| {
        found.sort_unstable();
        found.dedup();
        match found[..] {
            [] => Ok(None),
            [at] => Ok(Some(at)),
            _ => Err("its code keeps the current task in more than one place"),
        }
    };
    for parts in STORING {
        let stored = |function: Function| code::stores(&function, context);
        if let Some(at) = only(program.functions(parts).flat_map(stored).collect())? {
            return Ok(at);
        }
    }
    let len = context.end - context.start;
    let fields = |function: Function| code::fields(&function, len);
    only(program.functions(SETTING).flat_map(fields).collect())?
        .map(|field| context.start + field)
        .ok_or("where it keeps the current task is not seen in its code")
}
