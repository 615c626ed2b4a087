//! What instructions of Node say about its structures (x86-64).

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use observer_abi::node::End;

use super::image::Function;

/// Offsets in structures that are believed: `Environment` has about 3 KiB.
const OFFSETS: std::ops::Range<u64> = 8..0x4000;

/// How many instructions after a load its result is used at the latest.
const APART: u64 = 3;

/// Instructions around the one that counts down which are looked at.
const NEAR: usize = 6;

/// The instructions of `function`, up to the first that can't be decoded.
fn instructions(function: &Function) -> impl Iterator<Item = Instruction> + '_ {
    let mut decoder = Decoder::with_ip(64, &function.code, function.address, DecoderOptions::NONE);
    std::iter::from_fn(move || {
        decoder
            .can_decode()
            .then(|| decoder.decode())
            .filter(|instruction| instruction.code() != Code::INVALID)
    })
}

/// The first instruction of `function` that does something: its arguments are where they were passed. Most often it is a `push`,
/// which the kernel carries out itself where it is probed.
pub fn beginning(function: &Function) -> u64 {
    let mut code = instructions(function).skip_while(|i| i.code() == Code::Endbr64);
    code.next().map_or(function.address, |i| i.ip())
}

/// The offset of the address whose double is returned: `mov rax, [r + OFFSET]; …; movsd xmm0, [rax]`.
pub fn pointer_to_double(function: &Function) -> Option<u32> {
    let mut loaded: Option<(Register, u64, u64)> = None;
    let mut found = None;
    for (index, instruction) in (0..).zip(instructions(function)) {
        if let Some((register, offset, at)) = loaded
            && index - at <= APART
            && instruction.code() == Code::Movsd_xmm_xmmm64
            && instruction.op0_register() == Register::XMM0
            && based_on(&instruction, register) == Some(0)
        {
            // Two ways to the result must agree.
            if found.is_some_and(|other| other != offset) {
                return None;
            }
            found = Some(offset);
        }
        let load = load(&instruction).filter(|(_, _, offset)| OFFSETS.contains(offset));
        if let Some((register, _, offset)) = load {
            loaded = Some((register, offset, index));
        } else if loaded.is_some_and(|(register, ..)| instruction.op0_register() == register) {
            loaded = None;
        }
    }
    u32::try_from(found?).ok()
}

/// The offset of the field that is counted down: `sub qword [r + OFFSET], 1`, the only one.
pub fn counted_down(function: &Function) -> Option<u32> {
    let mut offsets =
        instructions(function).filter_map(|i| count_down(&i).map(|(_, offset)| offset));
    let offset = offsets.next().filter(|offset| OFFSETS.contains(offset))?;
    let only = offsets.all(|other| other == offset);
    u32::try_from(offset).ok().filter(|_| only)
}

/// How an instruction that counts the field at `offset` down ends: its displacement and its operand.
pub fn tail_of_count_down(offset: u32) -> [u8; 5] {
    let [a, b, c, d] = offset.to_le_bytes();
    [a, b, c, d, 1]
}

/// Whether an instruction that begins with these four bytes, its last before the displacement, is such a one.
pub fn is_count_down(before: [u8; 4]) -> bool {
    // `REX.W 83 /5`, with a displacement of 32 bits; base registers 4 and 12 take another byte.
    let form = |rex: u8, opcode: u8, modrm: u8| {
        rex & 0xf8 == 0x48 && opcode == 0x83 && modrm & 0xf8 == 0b10_101_000
    };
    let [a, b, c, d] = before;
    (form(b, c, d) && d & 7 != 4) || (form(a, b, c) && c & 7 == 4)
}

/// Where in `function` callback scopes end whose environment counts depth at `depth`, and where the scope
/// lies there: `mov r, [SCOPE]; …; sub qword [r + DEPTH], 1`.
///
/// The place is the next jump behind that, if there is one before anything else happens: the kernel emulates a
/// probed jump, while other instructions are stepped over, which takes a second exception.
pub fn scope_ends(function: &Function, depth: u32) -> Vec<(u64, End)> {
    let code: Vec<Instruction> = instructions(function).collect();
    let counts =
        |i: &Instruction| count_down(i).is_some_and(|(_, offset)| offset == u64::from(depth));
    let places = code.iter().enumerate().filter(|(_, i)| counts(i));
    places.filter_map(|(at, _)| scope_end(&code, at)).collect()
}

/// The end whose scope instruction `at` of `code` counts down.
fn scope_end(code: &[Instruction], at: usize) -> Option<(u64, End)> {
    let (environment, _) = count_down(&code[at])?;
    let sets =
        |i: &&Instruction| i.op0_register() == environment && i.op0_kind() == OpKind::Register;
    let loaded = code[..at].iter().rev().take(NEAR).find(sets)?;
    let (_, base, displacement) = load(loaded)?;
    let end = End {
        page_offset: 0,
        register: place(base)?,
        displacement: i32::try_from(displacement.cast_signed()).ok()?,
        counted: false,
    };
    let changes = |i: &Instruction| i.op0_kind() == OpKind::Register && i.op0_register() == base;
    let between = code[..=at]
        .iter()
        .rev()
        .take_while(|i| i.ip() != loaded.ip());
    let kept = !between.clone().any(changes);
    let behind = code[at + 1..].iter().take(NEAR);
    let behind = behind.take_while(|i| !changes(i) && !ends_or_changes_stack(i));
    match behind.into_iter().find(|i| is_jump(i)).filter(|_| kept) {
        Some(jump) => Some((
            jump.ip(),
            End {
                counted: true,
                ..end
            },
        )),
        None => Some((loaded.ip(), end)),
    }
}

/// A jump to a place that is fixed.
fn is_jump(instruction: &Instruction) -> bool {
    let odd = [
        Mnemonic::Call,
        Mnemonic::Jrcxz,
        Mnemonic::Loop,
        Mnemonic::Loope,
        Mnemonic::Loopne,
        Mnemonic::Xbegin,
    ];
    instruction.op0_kind() == OpKind::NearBranch64 && !odd.contains(&instruction.mnemonic())
}

/// Whether what follows is not reached in line, or on another stack frame.
fn ends_or_changes_stack(instruction: &Instruction) -> bool {
    let others = [
        Mnemonic::Call,
        Mnemonic::Leave,
        Mnemonic::Pop,
        Mnemonic::Push,
        Mnemonic::Ret,
    ];
    others.contains(&instruction.mnemonic())
}

/// `mov REGISTER, [BASE + DISPLACEMENT]` of eight bytes.
fn load(instruction: &Instruction) -> Option<(Register, Register, u64)> {
    let plain = instruction.code() == Code::Mov_r64_rm64
        && instruction.op1_kind() == OpKind::Memory
        && instruction.memory_index() == Register::None
        && !instruction.is_ip_rel_memory_operand();
    plain.then(|| {
        (
            instruction.op0_register(),
            instruction.memory_base(),
            instruction.memory_displacement64(),
        )
    })
}

/// `sub qword [BASE + OFFSET], 1`.
fn count_down(instruction: &Instruction) -> Option<(Register, u64)> {
    let counts = instruction.code() == Code::Sub_rm64_imm8
        && instruction.op0_kind() == OpKind::Memory
        && instruction.memory_index() == Register::None
        && instruction.immediate(1) == 1;
    counts.then(|| {
        (
            instruction.memory_base(),
            instruction.memory_displacement64(),
        )
    })
}

/// The displacement of a memory operand that is counted from `base` alone.
fn based_on(instruction: &Instruction, base: Register) -> Option<u64> {
    (instruction.memory_base() == base && instruction.memory_index() == Register::None)
        .then(|| instruction.memory_displacement64())
}

/// The place of a register in `struct pt_regs` of x86-64 (`arch/x86/include/asm/ptrace.h`), bytes.
fn place(register: Register) -> Option<u16> {
    Some(match register {
        Register::R15 => 0,
        Register::R14 => 8,
        Register::R13 => 16,
        Register::R12 => 24,
        Register::RBP => 32,
        Register::RBX => 40,
        Register::RSP => 152,
        // Others do not survive the call before.
        _ => return None,
    })
}
