//! What the probes are told of a Node process: the words of its [`Layout`].

use super::control::Layout;
use super::runtime;

/// Instructions at which the end of a callback scope can be seen, at most.
pub const ENDS: usize = 4;

/// How the turns of a Node process are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Offset in `node::Environment` of its count of open callback scopes,
    /// `async_callback_scope_depth_`.
    pub depth: u32,
    /// Offset in `node::Environment` of the address of the async ids, `async_hooks_.async_id_fields_`:
    /// doubles, in the order execution, trigger, counter, default trigger.
    pub ids: u32,
    /// Where scopes end; unused ones are zero.
    pub ends: [End; ENDS],
}

/// An instruction that is run once at the end of each callback scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// The low 12 bits of its address, by which it is told from the others.
    pub page_offset: u16,
    /// The register that the scope's address is counted from: its place in `struct pt_regs`, bytes.
    pub register: u16,
    /// How far from there the scope lies, bytes.
    pub displacement: i32,
    /// Whether the scope has been counted out of the depth when the instruction is reached.
    pub counted: bool,
}

/// Bit of a word that holds an [`End`].
const PRESENT: u64 = 1 << 31;
/// Bit of a word: [`End::counted`].
const COUNTED: u64 = 1 << 12;

/// The page offset of an instruction at `address`.
#[must_use]
#[inline(always)]
pub const fn page_offset(address: u64) -> u16 {
    (address & 0xfff) as u16
}

impl Node {
    /// The words of the layout.
    #[must_use]
    pub fn layout(&self) -> Layout {
        let mut layout = Layout {
            runtime: u64::from(runtime::NODE),
            ..Layout::default()
        };
        layout.words[DEPTH] = u64::from(self.depth);
        layout.words[IDS] = u64::from(self.ids);
        for (word, end) in layout.words[FIRST_END..].iter_mut().zip(&self.ends) {
            *word = end.word();
        }
        layout
    }
}

impl End {
    const fn word(self) -> u64 {
        if self.page_offset == 0 && self.register == 0 && self.displacement == 0 {
            return 0;
        }
        (self.displacement as u32 as u64) << 32
            | PRESENT
            | if self.counted { COUNTED } else { 0 }
            | (self.register as u64) << 16
            | self.page_offset as u64
    }

    /// The end that word `index` of the ends of `layout` describes, if it does.
    #[must_use]
    #[inline(always)]
    pub const fn of(word: u64) -> Option<Self> {
        if word & PRESENT == 0 {
            return None;
        }
        Some(Self {
            page_offset: (word & 0xfff) as u16,
            register: (word >> 16 & 0x7fff) as u16,
            displacement: (word >> 32) as u32 as i32,
            counted: word & COUNTED != 0,
        })
    }
}

/// The word of `layout` that holds the offset of the depth.
pub const DEPTH: usize = 0;
/// The word of `layout` that holds the offset of the ids.
pub const IDS: usize = 1;
/// The first word of `layout` that holds an end.
pub const FIRST_END: usize = 2;
/// The word of `layout` that holds the number of the window of time in which the process is watched. What
/// began in another one is not known.
pub const WINDOW: usize = FIRST_END + ENDS;
/// The word of `layout` in which the probe at the ends of scopes counts its runs.
pub const RUNS: usize = WINDOW + 1;

/// The whole number that the bits of a double stand for; `None` if it is negative, broken or above 2^53.
#[must_use]
#[inline(always)]
pub const fn whole(bits: u64) -> Option<u64> {
    if bits == 0 {
        return Some(0);
    }
    let exponent = bits >> 52;
    // 1023 stands for 2^0; a set sign bit makes the exponent larger than any that is taken.
    if exponent < 1023 || exponent > 1023 + 52 {
        return None;
    }
    let fraction = bits & ((1 << 52) - 1) | 1 << 52;
    let below = 1023 + 52 - exponent;
    if fraction & ((1 << below) - 1) != 0 {
        return None;
    }
    Some(fraction >> below)
}
