//! The object file with the probes: constants and sizes set, maps created.

use std::{fs, path::Path, slice};

use aya::{Ebpf, EbpfLoader, VerifierLogLevel, include_bytes_aligned};
use observer_abi::control::{CALLS, Config, Offsets, Registers, WATCH_CELLS};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::{
    CaptureConfig, CaptureError,
    arch::{REGISTERS, calls},
    btf::Btf,
    host,
    offsets::offsets,
    patch::{Features, Functions, functions, patch},
    pinned::{self, Pinned},
    types::{self, From, OWN, TypeSource, TypesError},
};

/// The probes, built by `cargo xtask build-ebpf` from `observer-ebpf/`.
pub static OBJECT: &[u8] = include_bytes_aligned!("observer-ebpf.bpf.o");

/// From this one on, maps are not charged to `RLIMIT_MEMLOCK`.
const NO_MEMLOCK: (u32, u32) = (5, 11);

/// The object, its maps created.
pub struct Opened {
    /// With no program loaded.
    pub object: Ebpf,
    /// What was chosen for this kernel.
    pub features: Features,
    /// Whether another observer's traces of threads can be read.
    pub pinned: bool,
}

/// Checks the host, sets what the probes need to know, and creates the maps. No program is loaded.
///
/// # Errors
///
/// See [`CaptureError`].
pub fn open(config: &CaptureConfig) -> Result<Opened, CaptureError> {
    let release = host::release();
    if host::version(&release) < host::OLDEST {
        return Err(CaptureError::KernelTooOld { found: release });
    }
    if !host::in_initial_pid_namespace() {
        return Err(CaptureError::PidNamespace);
    }
    if host::version(&release) < NO_MEMLOCK {
        // Refused without CAP_SYS_RESOURCE; then creating the maps says what is missing.
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        let _ = setrlimit(Resource::Memlock, unlimited);
    }
    let Facts {
        offsets, features, ..
    } = facts(config.types.as_deref(), &release)?;
    let mut sizes = sizes(config);
    sizes.config.fetches = features.fetches.into();
    let pinned = pinned::look(Path::new(pinned::PATH)) == Pinned::Readable;
    Ok(Opened {
        object: load(&sizes, &offsets, &features, pinned)?,
        features,
        pinned,
    })
}

/// What of the running kernel the probes depend on.
pub struct Facts {
    /// Where its types are told.
    pub source: TypeSource,
    /// Where fields lie.
    offsets: Offsets,
    /// Chosen by its version and types.
    pub features: Features,
}

/// Reads what of the kernel of this `release` the probes depend on, from `given` type information if there is.
///
/// # Errors
///
/// If it can't be read, or is not as expected.
pub fn facts(given: Option<&Path>, release: &str) -> Result<Facts, TypesError> {
    let take = |btf: &Btf<'_>| Ok((offsets(btf)?, functions(btf)));
    let (source, (offsets, theirs)) = types::find(given, release, take)?;
    let functions = match source.from {
        From::Kernel => theirs,
        From::Given | From::Found => own_functions(),
    };
    Ok(Facts {
        source,
        offsets,
        features: Features::of(release, functions),
    })
}

/// The kernel's own numbers of functions, if it tells them.
fn own_functions() -> Functions {
    let own = fs::read(OWN).unwrap_or_default();
    Btf::parse(&own).map_or_else(|_| Functions::default(), |btf| functions(&btf))
}

/// Base-2 logarithm of the number of policies that a capture with this `config` has.
pub fn policy_bits(config: &CaptureConfig) -> u32 {
    sizes(config).config.policy_bits
}

/// Sizes of the maps, and what the probes are told of them.
struct Sizes {
    config: Config,
    ring: u32,
    files: u32,
    threads: u32,
    watch: u32,
    policy: u32,
}

fn sizes(config: &CaptureConfig) -> Sizes {
    let page = u32::try_from(rustix::param::page_size()).unwrap_or(4096);
    let power = |size: u32, least: u32, most: u32| size.clamp(least, most).next_power_of_two();
    let threads = power(config.threads, 64, 1 << 20);
    let policy = power(config.files, 64, 1 << 20);
    Sizes {
        config: Config {
            all: config.all.into(),
            all_execs: config.all_execs.into(),
            thread_mask: threads - 1,
            policy_bits: policy.ilog2(),
            turn_budget: config.turn_bytes,
            sample_logs: config.sample_logs.into(),
            log_bytes: config.log_bytes,
            pipe_read_bytes: config.pipe_read_bytes,
            // Told by the kernel.
            fetches: 0,
        },
        ring: power(config.ring_bytes, page, 1 << 30),
        files: config.files.max(64),
        threads,
        watch: host::pid_max().div_ceil(WATCH_CELLS),
        policy,
    }
}

fn load(
    sizes: &Sizes,
    offsets: &Offsets,
    features: &Features,
    pinned: bool,
) -> Result<Ebpf, CaptureError> {
    let object = patch(OBJECT, features).map_err(|error| CaptureError::Load(Box::new(error)))?;
    let table: [u8; CALLS] = calls();
    let registers: Registers = REGISTERS;
    let mut loader = EbpfLoader::new();
    if pinned {
        loader.map_pin_path("TRACES_CTX", Path::new(pinned::PATH));
    }
    loader
        // The probes have no relocations against the kernel's types.
        .btf(None)
        .verifier_log_level(VerifierLogLevel::DEBUG)
        .override_global("CONFIG", words(&sizes.config), true)
        .override_global("OFFSETS", words(offsets), true)
        .override_global("REGISTERS", words(&registers), true)
        .override_global("CALL_TABLE", table.as_slice(), true)
        .map_max_entries("RING", sizes.ring)
        .map_max_entries("FILES", sizes.files)
        .map_max_entries("THREADS", sizes.threads)
        .map_max_entries("WATCH", sizes.watch)
        .map_max_entries("POLICY", sizes.policy)
        .load(&object)
        .map_err(|error| CaptureError::classify("create BPF maps", error))
}

/// Constants that consist of 32-bit words alone.
trait Words: Copy {}
impl Words for Config {}
impl Words for Offsets {}
impl Words for Registers {}

fn words<T: Words>(value: &T) -> &[u32] {
    let start = std::ptr::from_ref(value).cast();
    // SAFETY: `Words` is implemented only for `repr(C)` structures of `u32` fields: no padding, and
    // the alignment of `u32`.
    unsafe { slice::from_raw_parts(start, size_of::<T>() / size_of::<u32>()) }
}
