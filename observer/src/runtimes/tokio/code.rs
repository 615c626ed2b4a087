//! What tokio's code says about where it keeps the current task (x86-64), and where probes are cheap.

use std::collections::HashMap;
use std::ops::Range;

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, OpKind, Register};

use super::program::Function;

/// What is known of a register's value.
#[derive(Clone, Copy)]
enum Value {
    /// A number.
    Number(i64),
    /// The thread pointer and a number.
    Thread(i64),
}

impl Value {
    fn plus(self, other: i64) -> Self {
        match self {
            Self::Number(n) => Self::Number(n.wrapping_add(other)),
            Self::Thread(n) => Self::Thread(n.wrapping_add(other)),
        }
    }
}

/// Registers that a called function may change (System V ABI, 3.2.1).
const CALLER_SAVED: [Register; 9] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

fn instructions(function: &Function) -> impl Iterator<Item = Instruction> + '_ {
    let mut decoder = Decoder::with_ip(64, &function.code, function.address, DecoderOptions::NONE);
    std::iter::from_fn(move || decoder.can_decode().then(|| decoder.decode()))
        .take_while(|instruction| !instruction.is_invalid())
}

/// Where a function stores words of eight bytes in the thread-local variable that lies at `variable`, as
/// counted from the thread pointer.
pub fn stores(function: &Function, variable: &Range<i64>) -> Vec<i64> {
    let mut known = HashMap::new();
    // What was known where a jump to an address was taken. Any way there will do: all lead to the same store.
    let mut jumped: HashMap<u64, HashMap<Register, Value>> = HashMap::new();
    let mut found = Vec::new();
    for instruction in instructions(function) {
        for (register, value) in jumped.remove(&instruction.ip()).unwrap_or_default() {
            known.entry(register).or_insert(value);
        }
        if instruction.code() == Code::Mov_rm64_r64
            && let Some(Value::Thread(at)) = memory(&instruction, &known)
            && variable.contains(&at)
            && variable.contains(&at.wrapping_add(7))
            && (at - variable.start) % 8 == 0
        {
            found.push(at);
        }
        learn(&instruction, &mut known);
        let target = instruction.near_branch_target();
        if target > instruction.ip() && is_jump(&instruction) {
            jumped.entry(target).or_insert_with(|| known.clone());
        }
        if matches!(
            instruction.flow_control(),
            FlowControl::UnconditionalBranch | FlowControl::Return
        ) {
            known.clear();
        }
    }
    found
}

/// What is counted up to in a function that takes a field's address: `add r, OFFSET`, `lea r, [r + OFFSET]`.
pub fn fields(function: &Function, len: i64) -> Vec<i64> {
    let own = |register: Register| matches!(register, Register::RSP | Register::RBP);
    let steps = instructions(function).filter_map(|i| match i.code() {
        Code::Add_rm64_imm8 | Code::Add_rm64_imm32 if !own(i.op0_register()) => {
            Some(i.immediate(1).cast_signed())
        }
        Code::Lea_r64_m if !own(i.memory_base()) && !i.is_ip_rel_memory_operand() => {
            Some(i.memory_displacement64().cast_signed())
        }
        _ => None,
    });
    steps
        .filter(|at| (0..len).contains(at) && at % 8 == 0)
        .collect()
}

/// The address that an instruction's operand in memory has, as far as it is known.
fn memory(instruction: &Instruction, known: &HashMap<Register, Value>) -> Option<Value> {
    if instruction.op0_kind() != OpKind::Memory && instruction.op1_kind() != OpKind::Memory
        || instruction.memory_index() != Register::None
    {
        return None;
    }
    let displacement = instruction.memory_displacement64().cast_signed();
    let base = match instruction.memory_base() {
        Register::None => Value::Number(0),
        base => *known.get(&base)?,
    };
    match (instruction.memory_segment(), base.plus(displacement)) {
        (Register::FS, Value::Number(at)) => Some(Value::Thread(at)),
        (Register::FS, Value::Thread(_)) => None,
        (_, value) => Some(value),
    }
}

/// Notes what an instruction does to registers.
fn learn(instruction: &Instruction, known: &mut HashMap<Register, Value>) {
    if matches!(instruction.code(), Code::Call_rel32_64 | Code::Call_rm64) {
        known.retain(|register, _| !CALLER_SAVED.contains(register));
        return;
    }
    if instruction.op0_kind() != OpKind::Register {
        return;
    }
    let register = instruction.op0_register().full_register();
    let before = known.get(&register).copied();
    let value = match instruction.code() {
        Code::Mov_r64_imm64 | Code::Mov_rm64_imm32 | Code::Mov_r32_imm32 => {
            Some(Value::Number(instruction.immediate(1).cast_signed()))
        }
        // The first word that the thread pointer points to is the thread pointer.
        Code::Mov_r64_rm64 if matches!(memory(instruction, known), Some(Value::Thread(0))) => {
            Some(Value::Thread(0))
        }
        Code::Mov_r64_rm64 | Code::Mov_rm64_r64 if instruction.op1_kind() == OpKind::Register => {
            known.get(&instruction.op1_register()).copied()
        }
        Code::Lea_r64_m if instruction.memory_segment() != Register::FS => {
            memory(instruction, known)
        }
        Code::Add_rm64_imm8 | Code::Add_rm64_imm32 => {
            before.map(|value| value.plus(instruction.immediate(1).cast_signed()))
        }
        Code::Add_r64_rm64 | Code::Add_rm64_r64 if instruction.op1_kind() == OpKind::Register => {
            match (before, known.get(&instruction.op1_register())) {
                (Some(value), Some(Value::Number(n))) => Some(value.plus(*n)),
                (Some(Value::Number(n)), Some(value)) => Some(value.plus(n)),
                _ => None,
            }
        }
        // These only look at their operands.
        Code::Cmp_rm64_imm8 | Code::Cmp_rm32_imm8 | Code::Test_rm64_r64 | Code::Push_r64 => return,
        _ => None,
    };
    match value {
        Some(value) => known.insert(register, value),
        None => known.remove(&register),
    };
}

/// An instruction that every call of a function reaches with its first three arguments unchanged: one that the
/// kernel carries out itself (`arch/x86/kernel/uprobes.c`) if there is one before they change, else its first.
pub fn entry(function: &Function) -> u64 {
    let arguments = [Register::RDI, Register::RSI, Register::RDX];
    let unchanged = instructions(function).take_while(|i| {
        i.op0_kind() != OpKind::Register
            || !arguments.contains(&i.op0_register().full_register())
            || matches!(i.code(), Code::Push_r64)
    });
    for instruction in unchanged {
        if is_cheap(&instruction) {
            return instruction.ip();
        }
        if matches!(instruction.op0_kind(), OpKind::NearBranch64) {
            break;
        }
    }
    function.address
}

fn is_cheap(instruction: &Instruction) -> bool {
    instruction.code() == Code::Push_r64 || is_jump(instruction)
}

/// A jump to a place that is fixed.
fn is_jump(instruction: &Instruction) -> bool {
    instruction.is_jcc_short_or_near() || instruction.is_jmp_short_or_near()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(code: &[u8]) -> Function {
        Function {
            address: 0x1000,
            code: code.to_vec(),
        }
    }

    /// `TaskIdGuard::drop` of tokio 1.54, optimised: the variable begins at -0x368, the field at 0x28 in it.
    const DROP: &[u8] = &[
        0x41, 0x56, 0x53, 0x50, // push r14; push rbx; push rax
        0x48, 0x8b, 0x1f, // mov rbx, [rdi]
        0x49, 0xc7, 0xc6, 0x98, 0xfc, 0xff, 0xff, // mov r14, -0x368
        0x64, 0x41, 0x0f, 0xb6, 0x46, 0x40, // movzx eax, byte fs:[r14+0x40]
        0xff, 0x15, 0, 0, 0, 0, // call [rip]
        0x64, 0x41, 0xc6, 0x46, 0x40, 0x01, // mov byte fs:[r14+0x40], 1
        0x64, 0x49, 0x89, 0x5e, 0x28, // mov fs:[r14+0x28], rbx
        0xc3,
    ];

    #[test]
    fn the_field_is_what_the_guard_stores_to() {
        let variable = -0x368..-0x368 + 72;
        assert_eq!(stores(&function(DROP), &variable), [-0x340]);
        // Another variable's field is none of this one's.
        assert_eq!(stores(&function(DROP), &(-0x300..-0x2b8)), [0; 0]);
    }

    #[test]
    fn a_field_is_found_by_the_thread_pointer_too() {
        // mov rax, fs:[0]; lea rax, [rax-0x218]; mov [rax+0x30], rdi
        let code = [
            0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x8d, 0x80, 0xe8, 0xfd, 0xff, 0xff,
            0x48, 0x89, 0x78, 0x30,
        ];
        assert_eq!(stores(&function(&code), &(-0x218..-0x1c8)), [-0x1e8]);
    }

    /// `set_current_task_id` of tokio 1.54 without optimisation over crates: the way to the store is a jump over others.
    #[test]
    fn what_is_known_goes_along_with_jumps() {
        let code = [
            0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, // mov rax, fs:[0]
            0x48, 0x8d, 0x80, 0xa0, 0xfc, 0xff, 0xff, // lea rax, [rax-0x360]
            0x74, 0x06, // je +6
            0x31, 0xc9, // xor ecx, ecx
            0x48, 0x89, 0xc8, // mov rax, rcx
            0xc3, // ret
            0x48, 0x89, 0x58, 0x28, // mov [rax+0x28], rbx
            0xc3,
        ];
        assert_eq!(stores(&function(&code), &(-0x360..-0x318)), [-0x338]);
    }

    #[test]
    fn a_forgotten_register_names_nothing() {
        // mov rax, -0x218; xor eax, eax; mov fs:[rax+0x30], rdi
        let code = [
            0x48, 0xc7, 0xc0, 0xe8, 0xfd, 0xff, 0xff, 0x31, 0xc0, 0x64, 0x48, 0x89, 0x78, 0x30,
        ];
        assert_eq!(stores(&function(&code), &(-0x218..-0x1c8)), [0; 0]);
    }

    #[test]
    fn without_optimisation_the_field_is_added() {
        // sub rsp, 0x18; mov [rsp], rsi; mov rdi, [rsp]; add rdi, 0x30; add rsp, 0x18
        let code = [
            0x48, 0x83, 0xec, 0x18, 0x48, 0x89, 0x34, 0x24, 0x48, 0x8b, 0x3c, 0x24, 0x48, 0x83,
            0xc7, 0x30, 0x48, 0x83, 0xc4, 0x18,
        ];
        assert_eq!(fields(&function(&code), 80), [0x30]);
        assert_eq!(fields(&function(&code), 0x30), [0; 0]);
    }

    #[test]
    fn probes_go_to_pushes_and_jumps_before_arguments_change() {
        assert_eq!(entry(&function(DROP)), 0x1000);
        // sub rsp, 0x18; mov rax, [rdi]; test al, 2; jne +2
        let waker = [
            0x48, 0x83, 0xec, 0x18, 0x48, 0x8b, 0x07, 0xa8, 0x02, 0x75, 0x02, 0xc3,
        ];
        assert_eq!(entry(&function(&waker)), 0x1009);
        // sub rsp, 8; mov rdi, rax; push rbx
        let moved = [0x48, 0x83, 0xec, 0x08, 0x48, 0x89, 0xc7, 0x53];
        assert_eq!(entry(&function(&moved)), 0x1000);
    }
}
