//! One followed connection and its open exchanges.

use std::collections::VecDeque;
use std::sync::Arc;

use super::holders::Holders;
use super::links::Links;
use super::sighting::Ends;
use super::{Begun, Draw, Ended, ExchangeEvent, Malformed, Sighting};
use crate::feedback::Feedback;
use crate::ids::{FileId, KernelNanos, Seq, Tgid, Tid};
use crate::judged::{Address, Role, Unfinished};
use crate::message::conversation::Conversation;
use crate::message::{Flaw, HttpEvent, MessageKind, Moved, Protocol, RequestHead};
use crate::record::{Direction, End};
use crate::stream::Chunk;

/// Whose bytes are taken in.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The connection.
    pub file: FileId,
    /// The process that acts.
    pub tgid: Tgid,
    /// Its ends.
    pub endpoint: &'a Arc<Endpoint>,
    /// Its lot, as it was when the connection was first seen.
    pub draw: Draw,
}

/// Both ends of a connection, as one side sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// This side.
    pub local: Address,
    /// The other side.
    pub peer: Address,
    /// Unix sockets: inode number of this side's socket.
    pub unix_own: Option<u64>,
    /// Unix sockets: inode number of the other side's socket. A client's peer has none until it was accepted.
    pub unix_peer: Option<u64>,
}

impl Endpoint {
    /// Unix sockets: inode number of the client's socket, which names the connection: either side knows it
    /// from the beginning. `server` if this side serves.
    pub(super) fn unix_client(&self, server: bool) -> Option<u64> {
        if server {
            self.unix_peer
        } else {
            self.unix_own
        }
    }
}

/// An exchange whose response is not complete.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) seq: Seq,
    pub(super) moved: Moved,
    status: Option<u16>,
}

impl Open {
    fn abandoned(self, why: Unfinished, time: KernelNanos) -> Ended {
        Ended {
            seq: self.seq,
            status: self.status,
            time,
            outcome: Err(why),
            flaw: None,
            closed_by: None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Conn {
    holders: Holders,
    pub(super) open: VecDeque<Open>,
    side: Side,
    messages: Conversation,
    ignored: bool,
    /// The way that the first bytes went: those who ask mostly speak first.
    first: Option<Direction>,
    /// Positions up to which the probes were last told to skip, by direction.
    skipped: [u64; 2],
}

/// The process's side of a connection.
#[derive(Debug)]
struct Side {
    file: FileId,
    endpoint: Arc<Endpoint>,
    /// What identities of its exchanges rest on, in the role in which it was seen last.
    ends: Option<(Role, Ends)>,
    draw: Draw,
}

impl Conn {
    pub(super) fn new(source: Source<'_>) -> Self {
        Self {
            holders: Holders::new(source.tgid),
            open: VecDeque::new(),
            side: Side {
                file: source.file,
                endpoint: Arc::clone(source.endpoint),
                ends: None,
                draw: source.draw,
            },
            messages: Conversation::default(),
            ignored: false,
            first: None,
            skipped: [0; 2],
        }
    }

    /// The process that moved bytes last, of those that still have it.
    pub(super) fn tgid(&self) -> Tgid {
        self.holders.last
    }

    /// A process moves bytes.
    pub(super) fn moved_by(&mut self, tgid: Tgid) {
        self.holders.moved_by(tgid);
    }

    /// A process has it no more; whether that is all that are known to have it.
    pub(super) fn given_up_by(&mut self, tgid: Tgid) -> bool {
        self.holders.given_up_by(tgid)
    }

    pub(super) fn chunk(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        links: &mut Links,
        seq: &mut impl FnMut() -> Seq,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        if self.ignored {
            return;
        }
        let served = *self.first.get_or_insert(direction) == Direction::Read;
        let Self {
            messages,
            open,
            side,
            ignored,
            ..
        } = self;
        let (tgid, time) = (self.holders.last, chunk.time);
        messages.chunk(direction, &chunk, &mut |event| match event {
            HttpEvent::Request {
                direction,
                head,
                moved,
            } => {
                // What it wrote before is answered, so that it was read, seen or not: were it read now, it would be taken
                // for what is written now, if both say the same.
                if direction == Direction::Write && open.is_empty() {
                    links.forget(&side.endpoint);
                }
                let begun = side.begin(tgid, direction, head, moved, links, seq());
                open.push_back(Open {
                    seq: begun.seq,
                    moved,
                    status: None,
                });
                emit(ExchangeEvent::Begun(Box::new(begun)));
            }
            HttpEvent::RequestEnd { .. } => {}
            HttpEvent::Response { nth, status, .. } => {
                if let Some(asked) = open.get_mut(nth) {
                    asked.status = Some(status);
                }
            }
            HttpEvent::ResponseEnd { nth, moved } => complete(open, nth, moved, emit),
            HttpEvent::Lost => {
                if !open.is_empty() {
                    emit(ExchangeEvent::Lost { tgid });
                }
                abandon(open, Unfinished::Lost, time, None, emit);
            }
            HttpEvent::Malformed {
                direction,
                message,
                flaw,
                ends,
            } => {
                emit(ExchangeEvent::Malformed(Malformed {
                    tgid,
                    role: role(direction, message),
                    endpoint: Arc::clone(&side.endpoint),
                    message,
                    flaw,
                }));
                if ends {
                    malformed(open, flaw, time, emit);
                }
            }
            HttpEvent::Ignored(protocol) => {
                *ignored = true;
                emit(ExchangeEvent::NotObserved {
                    tgid,
                    file: side.file,
                    protocol,
                    served,
                });
            }
        });
        if self.ignored {
            // An upgraded connection answered its last request with the upgrade.
            abandon(&mut self.open, Unfinished::Lost, time, None, emit);
        }
    }

    /// It is still observed by what was decided now.
    pub(super) fn renewed(&mut self, draw: Draw) {
        self.side.draw.renew(draw);
    }

    /// Nothing of what it wrote will be seen to be read.
    pub(super) fn forget(&self, links: &mut Links) {
        links.forget(&self.side.endpoint);
    }

    /// What the probes may leave out from now on.
    pub(super) fn feedback(&mut self, file: FileId, direction: Direction, out: &mut Vec<Feedback>) {
        if self.ignored {
            if self.skipped != [u64::MAX; 2] {
                self.skipped = [u64::MAX; 2];
                out.push(Feedback::Ignore(file));
            }
            return;
        }
        if let Some(pos) = self.messages.skip_until(direction)
            && self.skipped[direction as usize] < pos
        {
            self.skipped[direction as usize] = pos;
            out.push(Feedback::SkipUntil {
                file,
                direction,
                pos,
            });
        }
    }

    pub(super) fn read_ended(
        &mut self,
        tid: Tid,
        end: End,
        time: KernelNanos,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        self.ended(Direction::Read, end, emit);
        let why = match end {
            End::Eof => Unfinished::Closed,
            End::Error(_) => Unfinished::Reset,
        };
        // A server may still answer a client that has closed its sending side.
        if self.messages.requests() != Some(Direction::Read) || matches!(end, End::Error(_)) {
            abandon(&mut self.open, why, time, Some(tid), emit);
        }
    }

    pub(super) fn closed(
        &mut self,
        tid: Tid,
        time: KernelNanos,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        self.ended(Direction::Write, End::Eof, emit);
        abandon(&mut self.open, Unfinished::Closed, time, Some(tid), emit);
        self.unknown(emit);
    }

    /// It has ended before what it carried was given up as unknown: too little of it moved. Unix sockets are
    /// left out, as libraries ask the host's own services over short ones (names, users).
    fn unknown(&self, emit: &mut impl FnMut(ExchangeEvent)) {
        let tcp = matches!(self.side.endpoint.local, Address::Tcp(_));
        if tcp && !self.ignored && self.messages.is_unknown() {
            emit(ExchangeEvent::NotObserved {
                tgid: self.tgid(),
                file: self.side.file,
                protocol: Protocol::Unknown,
                served: self.first == Some(Direction::Read),
            });
        }
    }

    pub(super) fn lost(&mut self, time: KernelNanos, emit: &mut impl FnMut(ExchangeEvent)) {
        self.messages.lost(Direction::Write, &mut |_| {});
        if !self.open.is_empty() {
            emit(ExchangeEvent::Lost { tgid: self.tgid() });
        }
        self.give_up(Unfinished::Lost, time, emit);
    }

    pub(super) fn give_up(
        &mut self,
        why: Unfinished,
        time: KernelNanos,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        abandon(&mut self.open, why, time, None, emit);
    }

    /// A response whose body lasts until the connection ends is complete now.
    fn ended(&mut self, direction: Direction, end: End, emit: &mut impl FnMut(ExchangeEvent)) {
        let Self { messages, open, .. } = self;
        messages.end(direction, end, &mut |event| {
            if let HttpEvent::ResponseEnd { nth, moved } = event {
                complete(open, nth, moved, emit);
            }
        });
    }
}

impl Side {
    fn begin(
        &mut self,
        tgid: Tgid,
        direction: Direction,
        head: RequestHead,
        moved: Moved,
        links: &mut Links,
        seq: Seq,
    ) -> Begun {
        let (role, other_end, sighting) = if direction == Direction::Read {
            match links.read(&self.endpoint, &head) {
                Some((seq, sighting)) => (Role::Server, Some(seq), sighting),
                None => (
                    Role::Server,
                    None,
                    self.sighting(Role::Server, &head, moved),
                ),
            }
        } else {
            let sighting = self.sighting(Role::Client, &head, moved);
            links.written(&self.endpoint, &head, (seq, sighting));
            (Role::Client, None, sighting)
        };
        Begun {
            seq,
            role,
            tgid,
            file: self.file,
            head,
            moved,
            endpoint: Arc::clone(&self.endpoint),
            other_end,
            sighting,
            left_out: self.draw.exchange(),
        }
    }

    fn sighting(&mut self, role: Role, head: &RequestHead, moved: Moved) -> Sighting {
        let ends = match self.ends {
            Some((known, ends)) if known == role => ends,
            _ => Ends::of(&self.endpoint, role == Role::Server),
        };
        self.ends = Some((role, ends));
        Sighting::of(ends, head, moved.since)
    }
}

fn complete(
    open: &mut VecDeque<Open>,
    nth: usize,
    moved: Moved,
    emit: &mut impl FnMut(ExchangeEvent),
) {
    if let Some(done) = open.remove(nth) {
        emit(ExchangeEvent::Ended(Ended {
            seq: done.seq,
            status: done.status,
            time: moved.time,
            outcome: Ok(moved),
            flaw: None,
            closed_by: None,
        }));
    }
}

fn abandon(
    open: &mut VecDeque<Open>,
    why: Unfinished,
    time: KernelNanos,
    closed_by: Option<Tid>,
    emit: &mut impl FnMut(ExchangeEvent),
) {
    for left in open.drain(..) {
        emit(ExchangeEvent::Ended(Ended {
            closed_by,
            ..left.abandoned(why, time)
        }));
    }
}

fn malformed(
    open: &mut VecDeque<Open>,
    flaw: Flaw,
    time: KernelNanos,
    emit: &mut impl FnMut(ExchangeEvent),
) {
    for left in open.drain(..) {
        emit(ExchangeEvent::Ended(Ended {
            flaw: Some(flaw),
            ..left.abandoned(Unfinished::Malformed, time)
        }));
    }
}

/// The side that a process is on that moved a message that way.
fn role(direction: Direction, message: MessageKind) -> Role {
    match (direction, message) {
        (Direction::Read, MessageKind::Request) | (Direction::Write, MessageKind::Response) => {
            Role::Server
        }
        _ => Role::Client,
    }
}
