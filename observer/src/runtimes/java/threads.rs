//! The threads of a Java virtual machine, and where their objects keep what the probes read. The machine does
//! not describe its objects as it does its own structures, so that is found out from what must be there.

use observer_abi::java;

use super::super::memory::Memory;

/// Threads that are looked at, as many as the probes look at.
const MAX_THREADS: u64 = 1_024;

/// Words of a `Thread` that are looked at.
const WORDS: usize = 20;

/// Threads whose objects must agree.
const AGREE: usize = 3;

/// Numbers of threads are given out one by one.
const PLAUSIBLE: std::ops::Range<u64> = 1..1 << 40;

/// Offsets in the machine's structures, and the address of its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) list: u64,
    pub(super) length: u64,
    pub(super) threads: u64,
    pub(super) osthread: u64,
    pub(super) pthread: u64,
    pub(super) owner: u64,
    pub(super) object: u64,
}

/// Where objects keep what is read of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Objects {
    /// `Thread.eetop`, the address of the `JavaThread`.
    pub(super) eetop: u64,
    /// `Thread.tid`.
    pub(super) tid: u64,
    /// How their addresses are written: flags of [`observer_abi::java`].
    pub(super) flags: u64,
}

/// A thread, with what lies at its object's beginning.
struct Thread {
    address: u64,
    owner: u64,
    words: [u64; WORDS],
}

impl Machine {
    /// Finds out where objects keep what is read of them; `None` while too few threads show it.
    pub(super) fn objects(&self, memory: &Memory) -> Option<Objects> {
        [0, java::COLOURED].into_iter().find_map(|flags| {
            let threads = self.threads(memory, flags);
            let eetop = only(|at| threads.iter().filter(|t| t.words[at] == t.address).count())?;
            // Whatever else a carrier runs, most threads run themselves.
            let tid = only(|at| {
                let own = |t: &&Thread| t.words[at] == t.owner && PLAUSIBLE.contains(&t.owner);
                threads.iter().filter(own).count()
            })?;
            let mut numbers: Vec<u64> = threads.iter().map(|t| t.words[tid]).collect();
            numbers.sort_unstable();
            numbers.dedup();
            let distinct = numbers.len() == threads.len();
            let plausible = numbers.iter().all(|number| PLAUSIBLE.contains(number));
            (distinct && plausible).then_some(Objects {
                eetop: 8 * eetop as u64,
                tid: 8 * tid as u64,
                flags,
            })
        })
    }

    /// Its threads, as far as they can be read where addresses of objects are written as `flags` say.
    fn threads(&self, memory: &Memory, flags: u64) -> Vec<Thread> {
        let at = |address: u64, offset: u64| memory.word(address.wrapping_add(offset));
        let Some((list, threads)) = memory
            .word(self.list)
            .and_then(|list| Some((list, at(list, self.threads)?)))
        else {
            return Vec::new();
        };
        let length = memory.bytes(list.wrapping_add(self.length));
        let length = length.map_or(0, u32::from_ne_bytes);
        let thread = |index: u64| {
            let address = at(threads, index * 8)?;
            // On x86-64 the first word at the thread pointer is the thread pointer (ELF handling for
            // thread-local storage, 3.4.2).
            let pointer = at(at(address, self.osthread)?, self.pthread)?;
            if !memory.holds(pointer, pointer) {
                return None;
            }
            let object = java::object(memory.word(at(address, self.object)?)?, flags)?;
            let bytes: [u8; 8 * WORDS] = memory.bytes(object)?;
            let mut words = [0; WORDS];
            for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
                *word = u64::from_ne_bytes(bytes.try_into().ok()?);
            }
            let owner = at(address, self.owner)?;
            words.contains(&address).then_some(Thread {
                address,
                owner,
                words,
            })
        };
        (0..u64::from(length).min(MAX_THREADS))
            .filter_map(thread)
            .collect()
    }
}

/// The only word for which `count` is highest, if that is high enough.
fn only(count: impl Fn(usize) -> usize) -> Option<usize> {
    // The first is the object's own (`markWord`).
    let mut best = (1..WORDS).map(|at| (count(at), at)).collect::<Vec<_>>();
    best.sort_unstable();
    let (most, at) = *best.last()?;
    let (second, _) = *best.get(best.len().checked_sub(2)?)?;
    (most >= AGREE && second < most).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_word_may_be_what_is_looked_for() {
        assert_eq!(only(|at| usize::from(at == 3) * 5), Some(3));
        assert_eq!(only(|at| usize::from(at == 3) * 2), None, "too few threads");
        assert_eq!(only(|at| usize::from(at > 17) * 5), None, "two of them");
        assert_eq!(only(|_| 0), None);
    }

    #[test]
    fn addresses_with_colours_are_shifted_by_them() {
        let zgc = |written| java::object(written, java::COLOURED);
        assert_eq!(zgc(0x0080_0000_4b0e_1510), Some(0x0400_0002_5870));
        assert_eq!(zgc(0x0100_0000_961c_2510), Some(0x0400_0002_5870));
        assert_eq!(zgc(0x0080_0000_4b0e_0510), None, "no colour");
        assert_eq!(zgc(0x0080_0000_4b0e_3510), None, "two of them");
        assert_eq!(java::object(0x6_9706_04f8, 0), Some(0x6_9706_04f8));
        for none in [0, 0x6_9706_04fc, !7] {
            assert_eq!(java::object(none, 0), None);
        }
    }
}
