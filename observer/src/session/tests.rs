use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use observer_core::ids::KernelNanos;
use observer_core::judged::ClockAnchor;
use observer_core::recording::{ByteOrder, Startup};

use super::*;
use crate::sink::samples;

fn startup() -> Startup {
    Startup {
        abi: observer_abi::ABI_VERSION,
        byte_order: ByteOrder::NATIVE,
        kernel: "6.18".into(),
        machine: "x86_64".into(),
        program: "0".into(),
        anchor: ClockAnchor::default(),
        selection: Vec::new(),
        limits: std::collections::BTreeMap::new(),
        probes: Vec::new(),
    }
}

fn config() -> Config {
    Config {
        anchor: ClockAnchor::default(),
        show_query: false,
        ..Config::default()
    }
}

/// Gives some records that are none, and ticks.
struct Noise(u64);

impl Source for Noise {
    type Error = ();

    fn pump(&mut self, mut into: impl FnMut(Input<'_>)) -> Result<Flow, ()> {
        into(Input::Record(b"not a record"));
        into(Input::Tick {
            now: KernelNanos(self.0 * 2_000_000_000),
            lost: self.0,
        });
        self.0 += 1;
        Ok(if self.0 == 5 { Flow::End } else { Flow::More })
    }

    fn apply(&mut self, _: Vec<Feedback>) {}
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn json(out: Shared) -> Box<dyn Sink> {
    let mut plan = samples::plan();
    plan.output = crate::cli::show::Output::Json;
    crate::sink::open(&plan, crate::sink::Canvas::default(), out)
}

#[test]
fn a_replay_tells_what_the_session_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("session");
    let live = Shared::default();
    let recorder = Recorder::create(&path, &startup()).unwrap();
    let done = run(&mut Noise(0), config(), json(live.clone()), Some(recorder)).unwrap();
    assert!(done.recording.is_none());

    let replayed = Shared::default();
    let (found, mut replay) = Replay::open(&path).unwrap();
    assert_eq!(found, startup());
    run(&mut replay, config(), json(replayed.clone()), None).unwrap();
    assert!(live.0.borrow().len() > 100);
    assert_eq!(live.0, replayed.0);
}

#[test]
fn a_recording_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("session");
    Recorder::create(&path, &startup())
        .unwrap()
        .finish()
        .unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_full_disk_ends_the_recording_but_not_the_session() {
    // Every write to it fails with ENOSPC.
    let path = std::path::Path::new("/dev/full");
    assert!(matches!(
        Recorder::create(path, &startup()),
        Err(RecordError::Create { .. })
    ));
}

#[test]
fn a_reader_that_has_enough_ends_the_session() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut plan = samples::plan();
    plan.output = crate::cli::show::Output::Json;
    let sink = crate::sink::open(&plan, crate::sink::Canvas::default(), Closed);
    let ended = run(&mut Noise(0), config(), sink, None);
    assert!(matches!(
        ended,
        Err(SessionError::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe
    ));
}
