//! The file system that a machine begins with: a `cpio` archive in the `newc` format
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, Result};

/// `S_IFDIR` and `S_IFREG` with the permissions that everything has.
const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
/// `S_IFCHR`, for root alone.
const DEVICE: u32 = 0o020_600;

/// An archive in the making.
pub struct Archive<W> {
    out: W,
    inode: u32,
    folders: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// Begins an archive, with the console that the first process gets.
    pub fn new(out: W) -> Result<Self> {
        let mut archive = Self {
            out,
            inode: 0,
            folders: BTreeSet::new(),
        };
        archive.folder("dev")?;
        archive.entry("dev/console", DEVICE, (5, 1), &[])?;
        Ok(archive)
    }

    /// Adds a file with `bytes`, and the folders above it; `path` is absolute.
    pub fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = path.trim_start_matches('/');
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder)?;
        }
        Ok(self.entry(path, FILE, (0, 0), bytes)?)
    }

    /// Adds the file at `from`.
    pub fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
        self.file(path, &bytes)
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        if !self.folders.insert(path.to_owned()) {
            return Ok(());
        }
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above)?;
        }
        Ok(self.entry(path, FOLDER, (0, 0), &[])?)
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Result<()> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        Ok(self.out.flush()?)
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), bytes: &[u8]) -> io::Result<()> {
        self.inode += 1;
        let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let size = u32::try_from(bytes.len()).map_err(too_large)?;
        let name_size = u32::try_from(name.len() + 1).map_err(too_large)?;
        let fields = [
            self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0,
        ];
        self.out.write_all(b"070701")?;
        for field in fields {
            write!(self.out, "{field:08x}")?;
        }
        self.out.write_all(name.as_bytes())?;
        self.out.write_all(b"\0")?;
        // The header has 110 bytes; name and contents end at multiples of four.
        self.pad(110 + name.len() + 1)?;
        self.out.write_all(bytes)?;
        self.pad(bytes.len())
    }

    fn pad(&mut self, written: usize) -> io::Result<()> {
        self.out
            .write_all(&[0; 3][..written.next_multiple_of(4) - written])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_each_folder_once_and_every_file() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes).expect("written");
        archive.file("/lib/x/a.so", b"abcde").expect("written");
        archive.file("/lib/b.so", b"").expect("written");
        archive.finish().expect("written");
        let text = String::from_utf8_lossy(&bytes);
        let names = [
            "dev",
            "dev/console",
            "lib",
            "lib/x",
            "lib/x/a.so",
            "lib/b.so",
        ];
        for name in names {
            assert_eq!(text.matches(&format!("{name}\0")).count(), 1, "{name}");
        }
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(text.matches("070701").count(), names.len() + 1);
    }
}
