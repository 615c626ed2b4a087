//! How the executions of single processes are read.

use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError},
};
use observer_abi::control::{LAYOUT_WORDS, Layout};
use observer_core::ids::Tgid;

use super::CaptureError;

/// A [`Layout`] as the kernel keeps it: the runtime, then the words.
type Words = [u64; LAYOUT_WORDS + 1];

/// The `RUNTIMES` map, or `HEAPS`.
pub struct RuntimeTable(HashMap<MapData, u32, Words>);

impl RuntimeTable {
    /// Takes the map out of the object.
    pub fn open(object: &mut Ebpf) -> Result<Self, CaptureError> {
        Self::named(object, "RUNTIMES")
    }

    /// The same of the `HEAPS` map: where threads of Java make objects.
    pub fn heaps(object: &mut Ebpf) -> Result<Self, CaptureError> {
        Self::named(object, "HEAPS")
    }

    fn named(object: &mut Ebpf, name: &str) -> Result<Self, CaptureError> {
        let what = format!("use the BPF map {name}");
        let missing = |error| CaptureError::classify(&what, error);
        let map = object
            .take_map(name)
            .ok_or(MapError::InvalidName {
                name: name.to_owned(),
            })
            .map_err(missing)?;
        HashMap::try_from(map).map(Self).map_err(missing)
    }

    /// Sets the layout of `process`.
    pub fn insert(&mut self, process: Tgid, layout: &Layout) -> Result<(), MapError> {
        let mut words: Words = [0; LAYOUT_WORDS + 1];
        words[0] = layout.runtime;
        words[1..].copy_from_slice(&layout.words);
        self.0.insert(process.0, words, 0)
    }

    /// What a word of the layout of `process` is now; a probe may count in it.
    pub fn word(&self, process: Tgid, word: usize) -> Option<u64> {
        let words = self.0.get(&process.0, 0).ok()?;
        words.get(1 + word).copied()
    }

    /// Forgets the layout of `process`, if it has one.
    pub fn remove(&mut self, process: Tgid) {
        // Not there is as good as removed.
        let _ = self.0.remove(&process.0);
    }
}
