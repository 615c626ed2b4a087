//! HAProxy: the stream, a request with its response, that each thread works at.
//!
//! HAProxy exports its symbols for what it loads. Two of them say where its scheduler keeps what it knows of a thread, and
//! which function serves streams; where among that the task lies that runs is read from the scheduler's
//! code, which clears it right after that function has returned (`run_tasks_from_lists`, `src/task.c`).

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register};
use object::{
    LittleEndian, ReadCache,
    elf::{STT_FUNC, STT_TLS},
    read::elf::{ProgramHeader as _, Sym as _},
};
use observer_abi::{control::Layout, haproxy as word, runtime};
use observer_core::record::ExecutionKind;

use super::exports::{Elf, Exports};
use super::image::{self, Mapped};
use super::{Plan, Unavailable};
use crate::facts::Process;

/// What the executable is called.
const EXECUTABLE: &str = "haproxy";
/// Thread-local pointers to what the scheduler keeps of a thread: since 2.6, and before.
const THREADS: [&[u8]; 2] = [b"th_ctx", b"sched"];
/// What serves streams, and what calls it.
const PROCESS_STREAM: &[u8] = b"process_stream";
const SCHEDULER: &[u8] = b"run_tasks_from_lists";
/// The longest function that is looked at, bytes.
const LONGEST: usize = 64 << 10;
/// Instructions between the return of a function and the clearing of the current task, at most.
const SOON: usize = 8;
/// What the scheduler keeps of a thread is no longer than this, bytes.
const LONGEST_THREAD: u64 = 4096;

/// How the streams of `process` are told apart; `None` if it is not HAProxy.
pub fn plan(process: &Process) -> Option<Result<Plan, Unavailable>> {
    let exe = process.exe()?;
    let name = exe.rsplit('/').next()?;
    (name == EXECUTABLE).then(|| planned(process, &exe).map_err(because))
}

fn because(why: &str) -> Unavailable {
    Unavailable(format!("streams of HAProxy can't be told apart: {why}"))
}

fn planned(process: &Process, exe: &str) -> Result<Plan, &'static str> {
    let mut mapped = image::mapped(process).into_iter();
    let mapped = mapped
        .find(|file| file.path == exe)
        .ok_or("its executable is not mapped")?;
    let found =
        read(process, &mapped).ok_or("its executable has not the symbols that tell them")?;
    let bias = mapped.start.wrapping_sub(found.first);
    let current = current(&found.scheduler, found.scheduler_at, found.process_stream)
        .ok_or("its scheduler's code is not as it is known")?;
    let mut layout = Layout {
        runtime: runtime::HAPROXY.into(),
        ..Layout::default()
    };
    layout.words[word::THREAD] = found.thread.cast_unsigned();
    layout.words[word::CURRENT] = current;
    layout.words[word::PROCESS_STREAM] = found.process_stream.wrapping_add(bias);
    Ok(Plan {
        kind: ExecutionKind::HaproxyStream,
        layout,
        probes: Vec::new(),
        missing: Vec::new(),
        stepped: false,
    })
}

/// What the executable says, in its own addresses.
struct Found {
    /// Of its first byte.
    first: u64,
    /// Offset of the thread's pointer from the thread pointer.
    thread: i64,
    process_stream: u64,
    scheduler_at: u64,
    scheduler: Vec<u8>,
}

fn read(process: &Process, mapped: &Mapped) -> Option<Found> {
    let cache = ReadCache::new(mapped.open(process)?);
    let elf = Elf::parse(&cache).ok()?;
    let exports = Exports::of(&elf)?;
    let named = |kind: u8, name: &[u8]| exports.find(kind, name).map(|(_, symbol)| symbol);
    let thread = THREADS.iter().find_map(|name| named(STT_TLS, name))?;
    let scheduler = named(STT_FUNC, SCHEDULER)?;
    let scheduler_at = scheduler.st_value(LittleEndian);
    let code = elf.elf_program_headers().iter().find_map(|header| {
        let into = scheduler_at.checked_sub(header.p_vaddr(LittleEndian))?;
        let data = header.data(LittleEndian, &cache).ok()?;
        data.get(usize::try_from(into).ok()?..)
    })?;
    let len = usize::try_from(scheduler.st_size(LittleEndian)).ok()?;
    Some(Found {
        first: exports.first,
        thread: exports.tls.offset(thread.st_value(LittleEndian)),
        process_stream: named(STT_FUNC, PROCESS_STREAM)?.st_value(LittleEndian),
        scheduler_at,
        scheduler: code.get(..len.min(LONGEST))?.to_vec(),
    })
}

/// Where the scheduler, whose `code` lies at `address`, keeps the task that runs: the field that it clears when `process_stream` has
/// returned.
fn current(code: &[u8], address: u64, process_stream: u64) -> Option<u64> {
    let instructions: Vec<Instruction> = Decoder::with_ip(64, code, address, DecoderOptions::NONE)
        .into_iter()
        .collect();
    let mut found = None;
    for (n, call) in instructions.iter().enumerate() {
        if call.code() != Code::Call_rel32_64 || call.near_branch_target() != process_stream {
            continue;
        }
        let after = instructions.iter().skip(n + 1).take(SOON);
        let field = after.filter_map(cleared).next()?;
        if found.is_some_and(|other| other != field) {
            return None;
        }
        found = Some(field);
    }
    found
}

/// The field of a structure, somewhere in memory, that an instruction clears.
fn cleared(instruction: &Instruction) -> Option<u64> {
    let own = [Register::RSP, Register::RBP, Register::RIP, Register::None];
    let field = instruction.memory_displacement64();
    let clears = instruction.code() == Code::Mov_rm64_imm32
        && instruction.op0_kind() == OpKind::Memory
        && instruction.immediate(1) == 0
        && instruction.memory_index() == Register::None
        && !own.contains(&instruction.memory_base());
    (clears && field < LONGEST_THREAD && field.is_multiple_of(8)).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// call; mov rdx, rax; mov rax, fs:[r15]; mov qword [rax+0x20], 0
    const CODE: [u8; 20] = [
        0xe8, 0xfb, 0x0f, 0x00, 0x00, 0x48, 0x89, 0xc2, 0x64, 0x49, 0x8b, 0x07, 0x48, 0xc7, 0x40,
        0x20, 0x00, 0x00, 0x00, 0x00,
    ];

    #[test]
    fn the_current_task_is_what_is_cleared_after_it_ran() {
        assert_eq!(current(&CODE, 0x1000, 0x2000), Some(0x20));
        assert_eq!(current(&CODE, 0x1000, 0x2001), None, "another function");
        assert_eq!(current(&CODE[..12], 0x1000, 0x2000), None);
    }

    #[test]
    fn variables_of_the_scheduler_itself_are_not_meant() {
        // call; mov qword [rsp+0x20], 0
        let code = [
            0xe8, 0xfb, 0x0f, 0x00, 0x00, 0x48, 0xc7, 0x44, 0x24, 0x20, 0x00, 0x00, 0x00, 0x00,
        ];
        assert_eq!(current(&code, 0x1000, 0x2000), None);
    }

    #[test]
    fn two_places_are_none() {
        let mut code = CODE.to_vec();
        // The same with a call from behind, and another field.
        code.extend(CODE);
        let target = 0x2000_u32 - (0x1000 + 20 + 5);
        code[21..25].copy_from_slice(&target.to_le_bytes());
        code[35] = 0x28;
        assert_eq!(current(&code, 0x1000, 0x2000), None);
    }
}
