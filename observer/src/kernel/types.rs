//! Where the types of the running kernel are told: by itself, or by a file of its build.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use object::{
    Object, ObjectSection,
    read::{ReadCache, ReadRef},
};

use super::{
    btf::{Btf, BtfError},
    offsets::OffsetError,
};

/// Where the kernel tells them itself.
pub const OWN: &str = "/sys/kernel/btf/vmlinux";
/// Where files of its build may lie; `{}` is its release. These are libbpf's (`btf__load_vmlinux_btf` in `btf.c`) and
/// one more, in its order.
const PLACES: [&str; 8] = [
    "/boot/vmlinux-{}",
    "/lib/modules/{}/vmlinux-{}",
    "/lib/modules/{}/vmlinux",
    "/lib/modules/{}/build/vmlinux",
    "/usr/lib/modules/{}/kernel/vmlinux",
    "/usr/lib/debug/boot/vmlinux-{}",
    "/usr/lib/debug/boot/vmlinux-{}.debug",
    "/usr/lib/debug/lib/modules/{}/vmlinux",
];
/// The section of an ELF file that holds type information.
const SECTION: &str = ".BTF";
/// As long as type information may be, bytes: a kernel has 4 to 10 MiB of it.
const MOST: u64 = 64 << 20;

/// Where type information was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSource {
    /// The file.
    pub path: PathBuf,
    /// Bytes of type information in it.
    pub len: usize,
    /// Who names it.
    pub from: From,
}

/// Who names a file with the kernel's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The kernel: it is its own.
    Kernel,
    /// Who started this program.
    Given,
    /// It lies where files of the kernel's build do.
    Found,
}

impl fmt::Display for TypeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.from {
            From::Kernel => "",
            From::Given => ", as was asked for",
            From::Found => ", as the kernel does not tell them",
        };
        let kib = self.len / 1024;
        write!(f, "{}, {kib} KiB{how}", self.path.display())
    }
}

/// Why the types of the kernel are not known.
#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    /// Nothing tells them.
    #[error(
        "Linux {release} does not tell its types (BTF): {OWN} is missing, for which the kernel must be built with \
         CONFIG_DEBUG_INFO_BTF=y and /sys be mounted{}. Give the types of this very kernel with --btf FILE or \
         OBSERVER_BTF (a file of BTFHub's, or a vmlinux with a section {SECTION}), or install its debug package", no_help(.unfit)
    )]
    Nowhere {
        /// The running release.
        release: String,
        /// Files that were found, and why they are of no use.
        unfit: Vec<(PathBuf, UnfitError)>,
    },
    /// A file does not tell them.
    #[error("{} does not tell the kernel's types: {source}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: UnfitError,
    },
}

fn no_help(files: &[(PathBuf, UnfitError)]) -> String {
    let one =
        |(path, why): &(PathBuf, UnfitError)| format!("; {} is no help: {why}", path.display());
    files.iter().map(one).collect()
}

/// Why a file does not tell the kernel's types.
#[derive(Debug, thiserror::Error)]
pub enum UnfitError {
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is a folder, a device or the like.
    #[error("it is no regular file")]
    NoFile,
    /// It is longer than the types of any kernel.
    #[error("it holds more than {} MiB of them", MOST >> 20)]
    TooLong,
    /// It is a program or library, but a broken one.
    #[error("it is a damaged ELF file: {0}")]
    Elf(#[from] object::Error),
    /// It is a program or library without type information.
    #[error(
        "it is an ELF file without a section {SECTION} (pahole -J adds it, from debug information)"
    )]
    NoSection,
    /// It is something else.
    #[error(
        "it is neither BTF of this machine's byte order nor an ELF file with a section {SECTION} (archives must be unpacked)"
    )]
    Unknown,
    /// The type information is damaged, or of another kernel.
    #[error("{0}")]
    Types(#[from] OffsetError),
}

/// Finds the types of the kernel of this `release`: those that are `given`, or the kernel's own, or else a file of its
/// build. With them comes what `take` makes of them, which decides whether they are of use.
///
/// # Errors
///
/// If there are none, or those that are to be used are of no use.
pub fn find<T>(
    given: Option<&Path>,
    release: &str,
    take: impl Fn(&Btf<'_>) -> Result<T, OffsetError>,
) -> Result<(TypeSource, T), TypesError> {
    let places = PLACES.map(|place| PathBuf::from(place.replace("{}", release)));
    find_in(given, Path::new(OWN), &places, release, take)
}

fn find_in<T>(
    given: Option<&Path>,
    own: &Path,
    places: &[PathBuf],
    release: &str,
    take: impl Fn(&Btf<'_>) -> Result<T, OffsetError>,
) -> Result<(TypeSource, T), TypesError> {
    let try_one = |path: &Path, from: From| {
        let bytes = read(path)?;
        let taken = Btf::parse(&bytes).map_err(|error| match error {
            // What it begins with is that of nothing that is known.
            BtfError::Malformed(0) => UnfitError::Unknown,
            error => UnfitError::Types(error.into()),
        })?;
        let source = TypeSource {
            path: path.to_owned(),
            len: bytes.len(),
            from,
        };
        Ok::<_, UnfitError>((source, take(&taken)?))
    };
    let insist = |path: &Path, from| {
        try_one(path, from).map_err(|source| TypesError::Unfit {
            path: path.to_owned(),
            source,
        })
    };
    if let Some(path) = given {
        return insist(path, From::Given);
    }
    if own.exists() {
        return insist(own, From::Kernel);
    }
    let mut unfit = Vec::new();
    for path in places.iter().filter(|path| path.exists()) {
        match try_one(path, From::Found) {
            Ok(found) => return Ok(found),
            Err(why) => unfit.push((path.clone(), why)),
        }
    }
    Err(TypesError::Nowhere {
        release: release.to_owned(),
        unfit,
    })
}

/// The type information in a file: all of it, or a section.
fn read(path: &Path) -> Result<Vec<u8>, UnfitError> {
    // Of what is no file, opening may wait for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(UnfitError::NoFile);
    }
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.by_ref()
        .take(ELF.len() as u64)
        .read_to_end(&mut bytes)?;
    if bytes == ELF {
        // Most of it, which may be a gigabyte, is not looked at.
        return section(&ReadCache::new(file));
    }
    file.take(MOST).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(UnfitError::TooLong);
    }
    Ok(bytes)
}

/// With what ELF files begin.
const ELF: &[u8] = b"\x7fELF";

fn section<'data>(file: impl ReadRef<'data>) -> Result<Vec<u8>, UnfitError> {
    let file = object::File::parse(file)?;
    let section = file.section_by_name(SECTION).ok_or(UnfitError::NoSection)?;
    if section.size() > MOST {
        return Err(UnfitError::TooLong);
    }
    Ok(section.data()?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::btf::tests::sample;
    use super::*;

    const HERE: &str = "6.1.0-test";

    fn field(btf: &Btf<'_>) -> Result<u32, OffsetError> {
        Ok(btf.offset("file", "b")?)
    }

    /// An ELF file for this machine with one section.
    fn elf(name: &str, data: &[u8]) -> Vec<u8> {
        let names = format!("\0{name}\0.shstrtab\0");
        let little = u8::from(cfg!(target_endian = "little"));
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 2 - little, 1];
        file.resize(16, 0);
        let half = |file: &mut Vec<u8>, word: u16| file.extend(word.to_ne_bytes());
        let word = |file: &mut Vec<u8>, word: u32| file.extend(word.to_ne_bytes());
        let wide = |file: &mut Vec<u8>, word: usize| file.extend((word as u64).to_ne_bytes());
        for number in [1, 62] {
            half(&mut file, number);
        }
        word(&mut file, 1);
        let [names_at, data_at] = [64, 64 + names.len()];
        for number in [0, 0, data_at + data.len()] {
            wide(&mut file, number);
        }
        word(&mut file, 0);
        for number in [64, 0, 0, 64, 3, 2] {
            half(&mut file, number);
        }
        file.extend(names.as_bytes());
        file.extend(data);
        file.resize(file.len() + 64, 0);
        for (name_at, kind, at, len) in [
            (1, 1, data_at, data.len()),
            (2 + name.len(), 3, names_at, names.len()),
        ] {
            word(&mut file, u32::try_from(name_at).expect("short"));
            word(&mut file, kind);
            for number in [0, 0, at, len] {
                wide(&mut file, number);
            }
            word(&mut file, 0);
            word(&mut file, 0);
            wide(&mut file, 1);
            wide(&mut file, 0);
        }
        file
    }

    struct Host {
        folder: tempfile::TempDir,
    }

    impl Host {
        fn new(files: &[(&str, Vec<u8>)]) -> Self {
            let folder = tempfile::tempdir().expect("made");
            for (name, bytes) in files {
                fs::write(folder.path().join(name), bytes).expect("written");
            }
            Self { folder }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn find(&self, given: Option<&str>) -> Result<(String, From, u32), String> {
            let given = given.map(|name| self.at(name));
            let places = ["first", "second"].map(|name| self.at(name));
            let found = find_in(given.as_deref(), &self.at("own"), &places, HERE, field);
            let (source, offset) = found.map_err(|error| error.to_string())?;
            let name = source.path.file_name().expect("has a name");
            Ok((name.to_string_lossy().into_owned(), source.from, offset))
        }
    }

    #[test]
    fn what_is_given_goes_before_the_kernels_own_and_that_before_files_of_its_build() {
        let found = |name: &str, from| Ok((name.to_owned(), from, 16));
        let all = Host::new(&[
            ("own", sample()),
            ("second", elf(SECTION, &sample())),
            ("mine", elf(SECTION, &sample())),
        ]);
        assert_eq!(all.find(Some("mine")), found("mine", From::Given));
        assert_eq!(all.find(None), found("own", From::Kernel));
        let builds = Host::new(&[
            ("first", elf(".text", b"code")),
            ("second", elf(SECTION, &sample())),
        ]);
        assert_eq!(builds.find(None), found("second", From::Found));
    }

    #[test]
    fn a_given_file_that_is_of_no_use_is_not_passed_over() {
        let host = Host::new(&[
            ("own", sample()),
            ("text", b"hello".to_vec()),
            ("empty", Vec::new()),
            ("program", elf(".text", b"code")),
            ("cut elf", elf(SECTION, &sample())[..100].to_vec()),
            ("cut", sample()[..40].to_vec()),
        ]);
        for (file, words) in [
            ("nothing", "can't be read"),
            (".", "no regular file"),
            ("text", "neither BTF"),
            ("empty", "neither BTF"),
            ("program", "ELF file without a section .BTF"),
            ("cut elf", "damaged ELF file"),
            ("cut", "malformed at byte"),
        ] {
            let error = host.find(Some(file)).expect_err(file);
            assert!(error.contains(words) && error.contains(file), "{error}");
        }
    }

    #[test]
    fn without_any_the_message_says_what_was_seen_and_what_to_do() {
        let host = Host::new(&[("first", elf(".text", b"code"))]);
        let error = host.find(None).expect_err("there are none");
        for words in [HERE, "CONFIG_DEBUG_INFO_BTF=y", "--btf", "first is no help"] {
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn a_kernel_of_another_shape_is_told_by_what_is_missing() {
        let host = Host::new(&[("mine", sample())]);
        let take = |btf: &Btf<'_>| Ok(btf.offset("file", "z")?);
        let error = find_in(Some(&host.at("mine")), Path::new("/"), &[], HERE, take);
        let error = error.expect_err("has no such field").to_string();
        assert!(error.contains("no field `z`"), "{error}");
    }
}
