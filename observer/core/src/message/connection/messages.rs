//! What follows from a complete head, and from a message's last byte.

use super::asked::Asked;
use super::body::Framing;
use super::half::State;
use super::head::{self, Parsed};
use super::{Connection, Heads, other};
use crate::message::sniff::Dark;
use crate::message::{Flaw, HttpEvent, Moved, Protocol};
use crate::record::Direction;

impl Connection {
    /// Parses a head at the start of `bytes`, and tells of it if it is complete.
    pub(super) fn parse(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        heads: &mut Heads,
        sink: &mut impl FnMut(HttpEvent),
    ) -> Parsed<()> {
        let is_request = match self.requests {
            Some(requests) => requests == direction,
            None => !bytes.starts_with(b"HTTP/"),
        };
        if is_request {
            match heads.request(bytes) {
                Parsed::Complete(used, request) => {
                    self.request(direction, request, sink);
                    Parsed::Complete(used, ())
                }
                Parsed::Partial => Parsed::Partial,
                Parsed::Invalid(flaw) => Parsed::Invalid(flaw),
            }
        } else {
            match heads.response(bytes) {
                Parsed::Complete(used, response) => {
                    match self.response(direction, response, sink) {
                        Ok(()) => Parsed::Complete(used, ()),
                        Err(flaw) => Parsed::Invalid(flaw),
                    }
                }
                Parsed::Partial => Parsed::Partial,
                Parsed::Invalid(flaw) => Parsed::Invalid(flaw),
            }
        }
    }

    fn learn_role(&mut self, requests: Direction) {
        self.dark = Dark::default();
        if self.requests.is_none() {
            self.requests = Some(requests);
            let responses = self.half(other(requests));
            if !responses.assembler.has_begun() {
                // Seen from its first byte: what comes must be a response.
                responses.state = State::Head;
            }
        }
    }

    fn request(
        &mut self,
        direction: Direction,
        mut request: head::Request,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        self.learn_role(direction);
        request.head.at = self.half(direction).at;
        let responses = self.half(other(direction));
        if responses.guess {
            responses.unsync();
        }
        if responses.state == State::Unsynced && self.waiting.is_open() {
            // Either the answer was missed, or it is still to come: nobody can tell.
            self.waiting.mistrust();
            self.waiting.lost();
            sink(HttpEvent::Lost);
        }
        let asked = Asked {
            head: request.head.method == "HEAD",
            connect: request.head.method == "CONNECT",
            silent: false,
        };
        let bounded = self.waiting.push(asked);
        let half = self.half(direction);
        half.silent = false;
        if let Some(moved) = half.span.moved() {
            sink(HttpEvent::Request {
                direction,
                head: request.head,
                moved,
            });
        }
        if half.enter(request.framing) {
            self.message_ends(direction, sink);
        }
        if asked.connect {
            self.half(direction).state = State::Tunnel;
        }
        if !bounded {
            self.lost(direction, sink);
        }
    }

    /// A response head is complete, unless its framing is contradictory.
    fn response(
        &mut self,
        direction: Direction,
        response: head::Response,
        sink: &mut impl FnMut(HttpEvent),
    ) -> Result<(), Flaw> {
        let interim = (100..200).contains(&response.status) && response.status != 101;
        let mut framing = response.framing()?;
        self.learn_role(other(direction));
        if interim {
            let half = self.half(direction);
            half.next_message();
            half.state = State::Head;
            return Ok(());
        }
        if self.waiting.is_doubtful() {
            self.waiting.lost();
            sink(HttpEvent::Lost);
        }
        let asked = self.waiting.pop();
        let silent = asked.is_none_or(|a| a.silent);
        let tunnel = asked.is_some_and(|a| a.connect) && (200..300).contains(&response.status);
        let upgraded = tunnel || response.status == 101;
        if upgraded || asked.is_some_and(|a| a.head) {
            framing = Framing::Empty;
        }
        let half = self.half(direction);
        half.silent = silent;
        // After a loss it may answer another request than the one that is thought to wait.
        half.guess = silent;
        if let (false, Some(moved)) = (silent, half.span.moved()) {
            sink(HttpEvent::Response {
                nth: 0,
                status: response.status,
                moved,
            });
        }
        if half.enter(framing) {
            self.message_ends(direction, sink);
        }
        if upgraded {
            let protocol = if response.to_http2 {
                Protocol::Http2
            } else {
                Protocol::Upgraded
            };
            self.ignore(protocol, sink);
        } else if self.half(other(direction)).state == State::Tunnel {
            self.half(other(direction)).state = State::Head;
        }
        Ok(())
    }

    /// The last byte of the current message has moved.
    pub(super) fn message_ends(&mut self, direction: Direction, sink: &mut impl FnMut(HttpEvent)) {
        let is_request = self.requests == Some(direction);
        let half = self.half(direction);
        let told: Option<Moved> = half.span.moved().filter(|_| !half.silent);
        half.next_message();
        half.state = State::Head;
        if let Some(moved) = told {
            sink(if is_request {
                HttpEvent::RequestEnd { moved }
            } else {
                HttpEvent::ResponseEnd { nth: 0, moved }
            });
        }
    }
}
