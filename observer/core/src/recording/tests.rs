use proptest::prelude::*;

use super::*;
use crate::engine::Input;
use crate::facts::{FileFacts, PeerFacts, PeerName, ProcessFacts, Runtime};
use crate::ids::{FileId, KernelNanos, Tgid};

fn startup() -> Startup {
    Startup {
        abi: observer_abi::ABI_VERSION,
        byte_order: ByteOrder::NATIVE,
        kernel: "6.18.0".into(),
        machine: "x86_64".into(),
        program: "0.1.0".into(),
        anchor: ClockAnchor {
            monotonic: KernelNanos(5),
            wall: 7,
        },
        selection: vec!["--pid 1".into()],
        limits: [("ring_bytes".to_owned(), 1 << 24)].into(),
        probes: vec![ProbeState {
            name: "sys_enter".into(),
            state: "ok".into(),
            detail: None,
        }],
    }
}

/// Bytes of the block that holds nothing but the end.
const END: usize = 8 + FRAME_HEAD;

/// An input that owns its bytes.
#[derive(Clone, Debug)]
enum Owned {
    Record(Vec<u8>),
    Process(u32, String),
    File(u64, String),
    Tick(u64, u64),
    Peer(u32, Option<(u16, String)>),
    Sampling(u32),
    Pause(u64),
    Resume(u64, u32),
    Reckoned(u16, u64, u64),
}

impl Owned {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Record(bytes) => Input::Record(bytes),
            Self::Process(tgid, service) => Input::Process(ProcessFacts {
                runtime: Some(Runtime::Python),
                ..ProcessFacts::named(Tgid(*tgid), service)
            }),
            Self::File(file, path) => Input::File(FileFacts {
                stream: None,
                file: FileId(*file),
                path: path.clone(),
            }),
            Self::Peer(address, named) => Input::Peer(PeerFacts {
                address: std::net::Ipv4Addr::from(*address).into(),
                port: named.as_ref().map(|(port, _)| *port),
                name: named.as_ref().map(|(_, name)| PeerName {
                    name: name.clone(),
                    namespace: String::new(),
                }),
            }),
            Self::Sampling(keep) => Input::Sampling { keep: *keep },
            Self::Pause(since) => Input::Pause {
                since: KernelNanos(*since),
            },
            Self::Resume(until, every) => Input::Resume {
                until: KernelNanos(*until),
                every: *every,
            },
            Self::Reckoned(place, counted, expected) => Input::Reckoned {
                place: *place,
                counted: *counted,
                expected: *expected,
            },
            Self::Tick(now, lost) => Input::Tick {
                now: KernelNanos(*now),
                lost: *lost,
            },
        }
    }
}

fn owned() -> impl Strategy<Value = Owned> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..400).prop_map(Owned::Record),
        1 => Just(Owned::Record(vec![7; 200_000])),
        1 => any::<(u32, String)>().prop_map(|(a, b)| Owned::Process(a, b)),
        1 => any::<(u64, String)>().prop_map(|(a, b)| Owned::File(a, b)),
        1 => any::<(u64, u64)>().prop_map(|(a, b)| Owned::Tick(a, b)),
        1 => any::<(u32, Option<(u16, String)>)>().prop_map(|(a, b)| Owned::Peer(a, b)),
        1 => any::<u32>().prop_map(Owned::Sampling),
        1 => any::<u64>().prop_map(Owned::Pause),
        1 => any::<(u64, u32)>().prop_map(|(a, b)| Owned::Resume(a, b)),
        1 => any::<(u16, u64, u64)>().prop_map(|(a, b, c)| Owned::Reckoned(a, b, c)),
    ]
}

fn record(inputs: &[Owned]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &startup()).unwrap();
    for input in inputs {
        writer.input(&input.input()).unwrap();
    }
    writer.finish().unwrap()
}

/// Everything that can be read, in words, and how reading ended.
fn replay(bytes: &[u8]) -> Result<(Vec<String>, Option<ReadError>), ReadError> {
    let (_, mut reader) = Reader::new(bytes)?;
    let mut inputs = Vec::new();
    loop {
        match reader.next_input() {
            Ok(Some(input)) => inputs.push(format!("{input:?}")),
            Ok(None) => return Ok((inputs, None)),
            Err(error) => return Ok((inputs, Some(error))),
        }
    }
}

fn words(inputs: &[Owned]) -> Vec<String> {
    inputs.iter().map(|i| format!("{:?}", i.input())).collect()
}

#[test]
fn startup_comes_back() {
    let bytes = record(&[]);
    assert_eq!(Reader::new(bytes.as_slice()).unwrap().0, startup());
}

#[test]
fn refuses_what_it_cannot_read() {
    let bytes = record(&[]);
    let error = |bytes: &[u8]| Reader::new(bytes).unwrap_err();
    assert!(matches!(error(b""), ReadError::NotARecording));
    assert!(matches!(
        error(b"\x7fELF\x02\x01\x01\0\0\0\0"),
        ReadError::NotARecording
    ));

    let mut newer = bytes.clone();
    newer[MAGIC.len()] = 9;
    assert!(matches!(error(&newer), ReadError::NewerFormat { found: 9 }));

    let with = |change: fn(&mut Startup)| {
        let mut other = startup();
        change(&mut other);
        Writer::new(Vec::new(), &other).unwrap().finish().unwrap()
    };
    assert!(matches!(
        error(&with(|s| s.abi = 200)),
        ReadError::OtherAbi { found: 200, .. }
    ));
    assert!(matches!(
        error(&with(
            |s| s.byte_order = if ByteOrder::NATIVE == ByteOrder::Big {
                ByteOrder::Little
            } else {
                ByteOrder::Big
            }
        )),
        ReadError::OtherByteOrder { .. }
    ));
}

#[test]
fn flushed_inputs_survive_a_kill() {
    let mut writer = Writer::new(Vec::new(), &startup()).unwrap();
    writer.input(&Input::Record(b"seen")).unwrap();
    writer.flush().unwrap();
    writer.input(&Input::Record(b"not written")).unwrap();
    let bytes = writer.get_mut().clone();
    let (inputs, end) = replay(&bytes).unwrap();
    assert_eq!(inputs.len(), 1);
    assert!(matches!(end, Some(ReadError::Truncated { .. })));
}

/// A disk with room for so many bytes, on which writes that find none leave nothing.
#[derive(Default)]
struct Disk {
    bytes: Vec<u8>,
    room: usize,
}

impl std::io::Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.room {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

proptest! {
    /// However little room there is: what can be read is a beginning, and what is missing would not have fitted.
    #[test]
    fn a_full_disk_keeps_what_fits(
        inputs in proptest::collection::vec(owned(), 1..60),
        room in 1_000_usize..400_000,
    ) {
        let disk = Disk { bytes: Vec::new(), room };
        let mut writer = Writer::new(disk, &startup()).unwrap();
        let written = inputs.iter().try_for_each(|input| writer.input(&input.input()));
        let ended = written.and_then(|()| writer.end());
        let salvaged = match &ended {
            Ok(()) => Ok(()),
            Err(_) => writer.salvage(),
        };
        let bytes = &writer.get_mut().bytes;
        let (read, end) = replay(bytes).unwrap();
        let all = words(&inputs);
        prop_assert!(all.starts_with(&read));
        if ended.is_ok() {
            prop_assert!(end.is_none());
            prop_assert_eq!(read.len(), all.len());
        } else if salvaged.is_err() {
            let truncated = matches!(end, Some(ReadError::Truncated { .. }));
            prop_assert!(truncated);
            // A frame and its own block.
            let next = inputs.get(read.len()).map_or(FRAME_HEAD, |input| {
                let alone = record(std::slice::from_ref(input)).len();
                alone - record(&[]).len() + FRAME_HEAD
            });
            prop_assert!(bytes.len() + 8 + next > room, "{} of {room}", bytes.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_in_comes_out(inputs in proptest::collection::vec(owned(), 0..40)) {
        let (read, end) = replay(&record(&inputs)).unwrap();
        prop_assert_eq!(read, words(&inputs));
        prop_assert!(end.is_none());
    }

    #[test]
    fn a_beginning_reads_as_a_beginning(
        inputs in proptest::collection::vec(owned(), 1..20),
        keep in 0.0_f64..1.0,
    ) {
        let bytes = record(&inputs);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
        let cut = (bytes.len() as f64 * keep) as usize;
        match replay(&bytes[..cut]) {
            Ok((read, end)) => {
                let truncated = matches!(end, Some(ReadError::Truncated { .. }));
                prop_assert!(truncated);
                prop_assert!(words(&inputs).starts_with(&read));
            }
            Err(error) => {
                let early = matches!(error, ReadError::NotARecording | ReadError::Truncated { .. });
                prop_assert!(early, "{}", error);
            }
        }
    }

    #[test]
    fn a_changed_byte_is_noticed(
        inputs in proptest::collection::vec(owned(), 1..20),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let mut bytes = record(&inputs);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok((read, end)) = replay(&bytes) {
            prop_assert!(end.is_some());
            prop_assert!(words(&inputs).starts_with(&read));
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, good_head: bool) {
        let mut input = if good_head { record(&[]) } else { Vec::new() };
        input.truncate(input.len().saturating_sub(END));
        input.extend_from_slice(&bytes);
        let _ = replay(&input);
    }
}
