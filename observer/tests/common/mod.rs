//! What the live tests share.

use observer::kernel::{Capture, CaptureConfig, CaptureError};

/// Set where the machine must be able to run the probes: then nothing skips itself.
const REQUIRE: &str = "OBSERVER_REQUIRE_BPF";

/// Starts a capture; `None`, said aloud, where that is not possible.
pub fn start(config: CaptureConfig) -> Option<Capture> {
    match Capture::start(config) {
        Ok(capture) => Some(capture),
        Err(
            error @ (CaptureError::Privileges { .. }
            | CaptureError::Types(_)
            | CaptureError::Lockdown
            | CaptureError::PidNamespace
            | CaptureError::KernelTooOld { .. }),
        ) if std::env::var_os(REQUIRE).is_none() => {
            let name = std::thread::current();
            eprintln!("skipped {}: {error}", name.name().unwrap_or("test"));
            None
        }
        Err(error) => panic!("{error}: {error:?}"),
    }
}
