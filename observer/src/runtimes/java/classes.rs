//! Classes of the Java virtual machine in the memory of a process, of those that its own loader has loaded.

use super::super::memory::Memory;
use super::structs::Structs;
use super::{all, short};

/// Loaders, and classes of one loader, that are looked at.
const MAX_LOADERS: usize = 65_536;
const MAX_CLASSES: usize = 65_536;

/// Offsets by which classes are found, and the address of the list of loaders.
pub(super) struct Classes {
    loaders: u64,
    next_loader: u64,
    loader: u64,
    classes: u64,
    next_class: u64,
    name: u64,
    symbols: Symbols,
}

/// Offsets by which names are read.
pub(super) struct Symbols {
    length: u64,
    body: u64,
}

impl Classes {
    /// As the machine describes them.
    pub(super) fn of(structs: &Structs<'_>) -> Option<Self> {
        let fields = structs.fields([
            ("ClassLoaderDataGraph", "_head"),
            ("ClassLoaderData", "_next"),
            ("ClassLoaderData", "_class_loader"),
            ("ClassLoaderData", "_klasses"),
            ("Klass", "_next_link"),
            ("Klass", "_name"),
            ("Symbol", "_length"),
            ("Symbol", "_body"),
        ]);
        let [loaders, offsets @ ..] = all(fields)?;
        if !loaders.is_static || offsets.iter().any(|f| f.is_static || f.at >= 1 << 16) {
            return None;
        }
        let [next_loader, loader, classes, next_class, name, length, body] = offsets.map(|f| f.at);
        Some(Self {
            loaders: loaders.at,
            next_loader,
            loader,
            classes,
            next_class,
            name,
            symbols: Symbols { length, body },
        })
    }

    /// The class of this name that the machine's own loader has loaded.
    pub(super) fn find(&self, memory: &Memory, name: &str) -> Option<u64> {
        let [found] = self.find_each(memory, [name])?;
        found
    }

    /// The classes of these names that the machine's own loader has loaded; `None` if not all that it has loaded can be read.
    pub(super) fn find_each<const N: usize>(
        &self,
        memory: &Memory,
        names: [&str; N],
    ) -> Option<[Option<u64>; N]> {
        let mut found = [None; N];
        let mut loader = memory.word(self.loaders)?;
        for _ in 0..MAX_LOADERS {
            if loader == 0 {
                break;
            }
            // The machine's own loader is no object.
            if memory.word(loader.checked_add(self.loader)?)? == 0 {
                self.loaded(memory, loader, names, &mut found)?;
                if found.iter().all(Option::is_some) {
                    break;
                }
            }
            loader = memory.word(loader.checked_add(self.next_loader)?)?;
        }
        Some(found)
    }

    /// Looks for classes among those of one loader; `None` if these can't be read.
    fn loaded<const N: usize>(
        &self,
        memory: &Memory,
        loader: u64,
        names: [&str; N],
        found: &mut [Option<u64>; N],
    ) -> Option<()> {
        let mut class = memory.word(loader.checked_add(self.classes)?)?;
        for _ in 0..MAX_CLASSES {
            if class == 0 {
                break;
            }
            let symbol = memory.word(class.checked_add(self.name)?)?;
            // Most names are told apart by their lengths, of which one read is enough.
            let length = self.symbols.length(memory, symbol)?;
            for (name, found) in names.iter().zip(found.iter_mut()) {
                if found.is_none()
                    && name.len() == length
                    && self.symbols.is(memory, symbol, name)?
                {
                    *found = Some(class);
                }
            }
            if found.iter().all(Option::is_some) {
                break;
            }
            class = memory.word(class.checked_add(self.next_class)?)?;
        }
        Some(())
    }

    /// How names are read.
    pub(super) fn symbols(&self) -> &Symbols {
        &self.symbols
    }
}

impl Symbols {
    /// Whether the name at `symbol` is this one; `None` if it can't be read.
    pub(super) fn is(&self, memory: &Memory, symbol: u64, name: &str) -> Option<bool> {
        let length = self.length(memory, symbol)?;
        Some(length == name.len() && self.text(memory, symbol, length)? == name.as_bytes())
    }

    /// How many bytes the name at `symbol` has.
    fn length(&self, memory: &Memory, symbol: u64) -> Option<usize> {
        short(memory, symbol.checked_add(self.length)?).map(usize::from)
    }

    /// The first byte of the name at `symbol`.
    pub(super) fn first(&self, memory: &Memory, symbol: u64) -> Option<u8> {
        self.text(memory, symbol, 1)?.first().copied()
    }

    fn text(&self, memory: &Memory, symbol: u64, length: usize) -> Option<Vec<u8>> {
        memory.read(symbol.checked_add(self.body)?, length)
    }
}
