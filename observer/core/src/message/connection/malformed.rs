//! What breaks the rules of HTTP, as against what was not seen.

use super::half::State;
use super::{Connection, head};
use crate::message::{Flaw, HttpEvent, MessageKind};
use crate::record::Direction;

impl Connection {
    /// What was not seen does not fit the framing that was believed.
    pub(super) fn gone(&mut self, direction: Direction, sink: &mut impl FnMut(HttpEvent)) {
        if self.half(direction).guess {
            self.half(direction).unsync();
        } else {
            self.lost(direction, sink);
        }
    }

    /// `bytes`, where a head was believed to begin, are none that can be read.
    pub(super) fn no_head(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        flaw: Flaw,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        if self.half(direction).state != State::Tentative {
            return self.malformed(direction, flaw, sink);
        }
        self.half(direction).unsync();
        // What only looked like a head at first is not told.
        if head::has_first_line(bytes) {
            let is_request = !bytes.starts_with(b"HTTP/");
            sink(HttpEvent::Malformed {
                direction,
                message: kind(is_request),
                flaw,
                ends: false,
            });
        }
    }

    /// The bytes do not fit the framing that was believed, and none is missing.
    pub(super) fn malformed(
        &mut self,
        direction: Direction,
        flaw: Flaw,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        let half = self.half(direction);
        if half.guess {
            return half.unsync();
        }
        if half.after_guess {
            return self.lost(direction, sink);
        }
        self.forget(direction);
        if let Some(requests) = self.requests {
            sink(HttpEvent::Malformed {
                direction,
                message: kind(requests == direction),
                flaw,
                ends: true,
            });
        }
    }
}

fn kind(is_request: bool) -> MessageKind {
    if is_request {
        MessageKind::Request
    } else {
        MessageKind::Response
    }
}
