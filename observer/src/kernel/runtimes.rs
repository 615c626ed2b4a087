//! How the executions of single processes are read.

use std::collections::BTreeMap;

use aya::{
    Ebpf, Pod,
    maps::{HashMap, MapData, MapError},
};
use observer_abi::control::{LAYOUT_WORDS, Layout};
use observer_abi::heap::frame;
use observer_core::ids::Tgid;

use super::CaptureError;

/// A [`Layout`] as the kernel keeps it: the runtime, then the words.
type Words = [u64; LAYOUT_WORDS + 1];

/// The hash map `name` of the object.
fn table<K: Pod, V: Pod>(
    object: &mut Ebpf,
    name: &str,
) -> Result<HashMap<MapData, K, V>, CaptureError> {
    let what = format!("use the BPF map {name}");
    let missing = |error| CaptureError::classify(&what, error);
    let map = object
        .take_map(name)
        .ok_or(MapError::InvalidName {
            name: name.to_owned(),
        })
        .map_err(missing)?;
    HashMap::try_from(map).map_err(missing)
}

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
        table(object, name).map(Self)
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

/// What compiled code keeps where, by the address to which a call returns.
pub type Calls = BTreeMap<u64, [u64; frame::WORDS]>;

/// The `COMPILED` map: where compiled code of single processes keeps what is read of its frames.
pub struct CompiledTable {
    map: HashMap<MapData, [u64; 2], [u64; frame::WORDS]>,
    /// What is in it.
    kept: BTreeMap<Tgid, Calls>,
}

impl CompiledTable {
    /// Takes the map out of the object.
    pub fn open(object: &mut Ebpf) -> Result<Self, CaptureError> {
        Ok(Self {
            map: table(object, "COMPILED")?,
            kept: BTreeMap::new(),
        })
    }

    /// Sets what is kept for `process`. What finds no room stays unknown.
    pub fn set(&mut self, process: Tgid, calls: Calls) {
        let of = u64::from(process.0);
        let before = self.kept.remove(&process).unwrap_or_default();
        for address in before.keys().filter(|at| !calls.contains_key(at)) {
            // Evicted is as good as removed.
            let _ = self.map.remove(&[of, *address]);
        }
        for (address, words) in &calls {
            if before.get(address) != Some(words) {
                let _ = self.map.insert([of, *address], words, 0);
            }
        }
        if !calls.is_empty() {
            self.kept.insert(process, calls);
        }
    }
}
