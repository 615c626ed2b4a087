//! Taking the probes at system calls away for a while, and putting them back.

use observer_core::engine::Input;

use super::{Live, LiveError};
use crate::budget::Turn;
use crate::watch::clock;

impl Live {
    /// Takes the probes at system calls away, or puts them back.
    pub(super) fn take_turn(
        &mut self,
        turn: Turn,
        into: &mut impl FnMut(Input<'_>),
    ) -> Result<(), LiveError> {
        match turn {
            Turn::Pause => {
                let since = clock::now();
                self.capture.pause().map_err(LiveError::Pause)?;
                // All that comes of calls is there by now; what they did is known before the pause is.
                self.drain_with(into, |live, into, ended| {
                    let mut into = into;
                    live.hand_out_records(since, &mut into, ended);
                    into(Input::Pause { since });
                });
            }
            Turn::Resume { every } => {
                self.capture.resume().map_err(LiveError::Pause)?;
                let until = clock::now();
                into(Input::Resume { until, every });
            }
        }
        Ok(())
    }
}
