//! Drivers that a generic kernel has as modules, and a machine needs to see this one's file system.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::project::run;

/// Where they are kept beside a kernel's image, and lie in a machine.
pub const FOLDER: &str = "modules";

/// What is needed, each after what it depends on in any of the kernels. What a kernel has built in, or does not know, is
/// no module there.
const NEEDED: [&str; 11] = [
    "virtio",
    "virtio_ring",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "fscache",
    "netfs",
    "9pnet",
    "9pnet_virtio",
    "9p",
    "overlay",
];
/// Modules without which it can't work: they are built into no kernel of the distribution.
const ALWAYS: [&str; 3] = ["9pnet_virtio", "9p", "overlay"];

/// Copies the modules that are needed from an unpacked package to a folder, unpacked and named in the order in which
/// they are to be inserted.
///
/// # Errors
///
/// If one is not there.
pub fn keep(package: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut found = Vec::new();
    find(package, &mut found)?;
    for (number, name) in NEEDED.into_iter().enumerate() {
        let module = found.iter().find(|path| stem(path) == Some(name));
        ensure!(
            module.is_some() || !ALWAYS.contains(&name),
            "the kernel has no module {name}"
        );
        if let Some(module) = module {
            unpack(module, &to.join(format!("{number:02}-{name}.ko")))?;
        }
    }
    Ok(())
}

/// The modules beside a kernel's image: where they go in a machine, and where they lie here.
///
/// # Errors
///
/// If they can't be listed.
pub fn beside(image: &Path) -> Result<Vec<(String, PathBuf)>> {
    let folder = image.with_file_name(FOLDER);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    entries
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((format!("/{FOLDER}/{name}"), entry.path()))
        })
        .collect()
}

/// The name of a module, of `NAME.ko` and `NAME.ko.xz`.
fn stem(path: &Path) -> Option<&str> {
    let (name, end) = path.file_name()?.to_str()?.split_once('.')?;
    matches!(end, "ko" | "ko.xz").then_some(name)
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn unpack(module: &Path, to: &Path) -> Result<()> {
    if module.extension().is_some_and(|end| end == "ko") {
        fs::copy(module, to)?;
        return Ok(());
    }
    let mut command = Command::new("xz");
    command.args(["-dc"]).arg(module).stdout(File::create(to)?);
    run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_kept_in_order_and_what_lacks_is_told() {
        let package = tempfile::tempdir().expect("made");
        let drivers = package.path().join("lib/modules/6.1/kernel");
        fs::create_dir_all(&drivers).expect("made");
        for name in [
            "9p.ko",
            "overlay.ko",
            "9pnet_virtio.ko",
            "netfs.ko",
            "e1000.ko",
        ] {
            fs::write(drivers.join(name), name).expect("written");
        }
        let kept = tempfile::tempdir().expect("made");
        let to = kept.path().join(FOLDER);
        keep(package.path(), &to).expect("all are there");
        let mut names = beside(&kept.path().join("vmlinuz")).expect("listed");
        names.sort();
        let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        let in_order = [
            "/modules/06-netfs.ko",
            "/modules/08-9pnet_virtio.ko",
            "/modules/09-9p.ko",
            "/modules/10-overlay.ko",
        ];
        assert_eq!(names, in_order);
        fs::remove_file(drivers.join("9p.ko")).expect("removed");
        let error = keep(package.path(), &to).expect_err("one is gone");
        assert!(error.to_string().contains("9p"), "{error}");
    }
}
