//! The compiled versions of a method in the memory of a process: where they lie in the machine's code heaps (`codeCache.hpp`, `heap.hpp`), and
//! what they say of their frames (`nmethod.hpp`). Older versions stay for as long as a thread is in them.

use observer_abi::heap::frame;

use super::super::memory::Memory;
use super::pools::{Method, Methods};
use super::structs::Structs;
use super::{all, number, scopes};
use crate::kernel::Calls;

/// Heaps of code, blocks of all of them, and versions of one method that are looked at.
const MAX_HEAPS: u32 = 16;
const MAX_BLOCKS: usize = 65_536;
const MAX_VERSIONS: usize = 16;
/// Bytes of a version's tables, and of its frames.
const MAX_TABLE: u64 = 1 << 18;
const MAX_FRAME: u64 = 1 << 16;

/// States of a version in which threads may be in it (`nmethod::_state`): it is complete, and not yet
/// given up.
const STATES: std::ops::RangeInclusive<i8> = 0..=2;

/// Where something lies that a version of a method names.
#[derive(Debug)]
enum Tables {
    /// In the version itself (until Java 21): offsets of the numbers that say where `PcDesc`s begin and end, and of the
    /// addresses of the scopes and of the code.
    Inside {
        begin: u64,
        end: u64,
        scopes: u64,
        code: u64,
    },
    /// Outside (from Java 24 on): offset of the address, of the numbers that say where in that `PcDesc`s and scopes begin,
    /// of its size, and of the number that says where the code begins.
    Outside {
        at: u64,
        begin: u64,
        scopes: u64,
        size: u64,
        code: u64,
    },
}

/// Offsets by which versions are found and read, and the address of the list of code heaps.
#[derive(Debug)]
pub(super) struct Machine {
    heaps: u64,
    array_length: u64,
    array: u64,
    low: u64,
    high: u64,
    segment: u64,
    /// Of a block: where it says that it is in use, behind its length.
    used: u64,
    method: u64,
    id: u64,
    state: u64,
    size: u64,
    frame: u64,
    tables: Tables,
}

impl Machine {
    /// Offsets as the machine describes them, with those by which the method is found.
    pub(super) fn of(structs: &Structs<'_>) -> Option<(Self, Methods)> {
        let fields = structs.fields([
            ("CodeCache", "_heaps"),
            ("InstanceKlass", "_methods"),
            ("InstanceKlass", "_osr_nmethods_head"),
            ("Array<Method*>", "_data"),
            ("Method", "_constMethod"),
            ("Method", "_code"),
            ("ConstMethod", "_code_size"),
            ("GrowableArrayBase", "_len"),
            ("GrowableArray<int>", "_data"),
            ("CodeHeap", "_memory"),
            ("CodeHeap", "_log2_segment_size"),
            ("VirtualSpace", "_low"),
            ("VirtualSpace", "_high"),
            ("HeapBlock::Header", "_used"),
            ("nmethod", "_compile_id"),
            ("nmethod", "_state"),
            ("CodeBlob", "_size"),
            ("CodeBlob", "_frame_size"),
            ("nmethod", "_scopes_pcs_offset"),
        ]);
        let fields = all(fields)?;
        let [heaps, offsets @ ..] = fields;
        // Additions of what is found there to addresses do not overflow then.
        if !heaps.is_static || offsets.iter().any(|f| f.is_static || f.at >= 1 << 16) {
            return None;
        }
        let [
            methods,
            versions,
            data,
            constant,
            code,
            code_size,
            array_length,
            array,
            space,
            segment,
            low,
            high,
            used,
            id,
            state,
            size,
            frame,
            pcs,
        ] = offsets.map(|f| f.at);
        let (method, tables) = Tables::of(structs, pcs)?;
        let machine = Self {
            heaps: heaps.at,
            array_length,
            array,
            low: space + low,
            high: space + high,
            segment,
            used,
            method,
            id,
            state,
            size,
            frame,
            tables,
        };
        let methods = Methods {
            methods,
            data,
            constant,
            code_size,
            code,
            versions,
        };
        Some((machine, methods))
    }

    /// The versions of a method that threads may be in.
    pub(super) fn versions(&self, memory: &Memory, method: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let mut blocks = 0;
        let heaps = || {
            let heaps = memory.word(self.heaps)?;
            let count = number(memory, heaps.checked_add(self.array_length)?)?;
            let first = memory.word(heaps.checked_add(self.array)?)?;
            Some((first, count.min(MAX_HEAPS)))
        };
        let Some((first, count)) = heaps() else {
            return found;
        };
        for index in 0..u64::from(count) {
            let heap = memory.word(first.wrapping_add(8 * index)).unwrap_or(0);
            let of_it = self.blocks(memory, heap, &mut blocks);
            found.extend(of_it.into_iter().filter(|version| {
                memory.holds(version.wrapping_add(self.method), method)
                    && memory
                        .bytes(version.wrapping_add(self.state))
                        .is_some_and(|[state]| STATES.contains(&state.cast_signed()))
            }));
        }
        found.truncate(MAX_VERSIONS);
        found
    }

    /// What the blocks of a code heap hold that are in use; counted in `seen`.
    fn blocks(&self, memory: &Memory, heap: u64, seen: &mut usize) -> Vec<u64> {
        let mut found = Vec::new();
        let at = |offset: u64| memory.word(heap.wrapping_add(offset));
        let (Some(mut block), Some(high)) = (at(self.low), at(self.high)) else {
            return found;
        };
        let segment = number(memory, heap.wrapping_add(self.segment)).unwrap_or(0);
        if segment == 0 || segment > 16 {
            return found;
        }
        while block < high && *seen < MAX_BLOCKS {
            *seen += 1;
            let Some([word, next]) = memory.words::<2>(block) else {
                break;
            };
            // A block begins with its length, in 32 or 64 bits, and whether it is used.
            let (length, used, header) = if self.used == 4 {
                (word & 0xffff_ffff, word >> 32, 8)
            } else {
                (word, next, 16)
            };
            if length == 0 || length > (high - block) >> segment {
                break;
            }
            if used & 0xff != 0 {
                found.push(block + header);
            }
            block += length << segment;
        }
        found
    }

    /// Adds the calls of a version; `None` if it can't be read.
    pub(super) fn read(
        &self,
        memory: &Memory,
        version: u64,
        of: Method,
        into: &mut Calls,
    ) -> Option<()> {
        let id_at = version.checked_add(self.id)?;
        let id = number(memory, id_at)?;
        let bytes = u64::from(number(memory, version.checked_add(self.frame)?)?) * 8;
        if !(32..=MAX_FRAME).contains(&bytes) || !bytes.is_multiple_of(16) {
            return None;
        }
        let (code, table, scopes) = self.tables.read(memory, version)?;
        let size = number(memory, version.checked_add(self.size)?)?;
        for call in scopes::calls(&table, &scopes, size, bytes, of.bci) {
            let mut words = [0; frame::WORDS];
            words[frame::METHOD_AT] = version.checked_add(self.method)?;
            words[frame::METHOD] = of.at;
            words[frame::ID_AT] = id_at;
            words[frame::ID] = id.into();
            if let Some([worker, thread, task]) = call.variables {
                words[frame::BYTES] = bytes;
                words[frame::WORKER] = worker;
                words[frame::THREAD] = thread;
                words[frame::TASK] = task;
            }
            into.insert(code.checked_add(call.at.into())?, words);
        }
        Some(())
    }
}

impl Tables {
    /// Where they lie, and where a version names its method.
    fn of(structs: &Structs<'_>, begin: u64) -> Option<(u64, Self)> {
        let [
            old,
            end,
            old_scopes,
            old_code,
            method,
            at,
            scopes,
            size,
            code,
        ] = structs
            .fields([
                ("CompiledMethod", "_method"),
                ("nmethod", "_dependencies_offset"),
                ("CompiledMethod", "_scopes_data_begin"),
                ("CodeBlob", "_code_begin"),
                ("nmethod", "_method"),
                ("nmethod", "_immutable_data"),
                ("nmethod", "_scopes_data_offset"),
                ("nmethod", "_immutable_data_size"),
                ("CodeBlob", "_code_offset"),
            ])
            .map(|field| {
                field
                    .filter(|f| !f.is_static && f.at < 1 << 16)
                    .map(|f| f.at)
            });
        match (method, at, scopes, size, code) {
            (Some(method), Some(at), Some(scopes), Some(size), Some(code)) => Some((
                method,
                Self::Outside {
                    at,
                    begin,
                    scopes,
                    size,
                    code,
                },
            )),
            _ => Some((
                old?,
                Self::Inside {
                    begin,
                    end: end?,
                    scopes: old_scopes?,
                    code: old_code?,
                },
            )),
        }
    }

    /// Where the code of `version` begins, its `PcDesc`s and its scopes.
    fn read(&self, memory: &Memory, version: u64) -> Option<(u64, Vec<u8>, Vec<u8>)> {
        let word = |offset: u64| memory.word(version.checked_add(offset)?);
        let offset = |offset: u64| number(memory, version.checked_add(offset)?).map(u64::from);
        let (code, [table, table_end], [scopes, scopes_end]) = match *self {
            Self::Inside {
                begin,
                end,
                scopes,
                code,
            } => {
                let table = version.checked_add(offset(begin)?)?;
                let end = version.checked_add(offset(end)?)?;
                (word(code)?, [table, end], [word(scopes)?, table])
            }
            Self::Outside {
                at,
                begin,
                scopes,
                size,
                code,
            } => {
                let data = word(at)?;
                let [begin, scopes, end] = [offset(begin)?, offset(scopes)?, offset(size)?];
                let at = |offset| data.checked_add(offset);
                let scopes = at(scopes)?;
                let code = version.checked_add(offset(code)?)?;
                (code, [at(begin)?, scopes], [scopes, at(end)?])
            }
        };
        let part = |begin: u64, end: u64| {
            let len = end.checked_sub(begin).filter(|len| *len <= MAX_TABLE)?;
            memory.read(begin, usize::try_from(len).ok()?)
        };
        Some((code, part(table, table_end)?, part(scopes, scopes_end)?))
    }
}
