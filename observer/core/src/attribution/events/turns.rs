//! What a thread does between two waits.

use smallvec::SmallVec;

use super::{Act, ActId, Connection, Events, MAX_REMOVE, State};
use crate::ids::{FileId, KernelNanos, Seq, Tid};
use crate::record::Execution;

/// What a thread has read or answered last, since it waited for events.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) event: Event,
    /// Requests that it has just answered.
    pub(super) answers: SmallVec<[Answer; 1]>,
}

/// Of which connection the event is that a thread handles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Event {
    /// It is not known of which.
    #[default]
    Unknown,
    /// That of a request, which is not answered.
    Request(Seq),
    /// One on which an act's response was read.
    Response(ActId),
}

/// A request whose answer a thread has completed, since when it has not read nor waited.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) request: Seq,
    pub(super) route: u64,
    pub(super) since: KernelNanos,
    /// What wrote it.
    pub(super) execution: Option<Execution>,
    /// Where lines were logged since.
    pub(super) logs: SmallVec<[u64; 2]>,
}

/// Answers of one turn that are remembered.
const MAX_ANSWERS: usize = 64;

impl Turn {
    pub(super) fn of(event: Event) -> Self {
        Self {
            event,
            answers: SmallVec::new(),
        }
    }

    /// The thread has answered a request.
    pub(super) fn answered(&mut self, answer: Answer) {
        self.event = Event::Unknown;
        self.answers.retain(|a| a.execution != answer.execution);
        if self.answers.len() < MAX_ANSWERS {
            self.answers.push(answer);
        }
    }

    /// The request that was answered last, by an execution if one is asked for.
    pub(super) fn last_answer(&mut self, by: Option<Execution>) -> Option<&mut Answer> {
        let same = |a: &&mut Answer| by.is_none_or(|by| a.execution.map(|e| e.id) == Some(by.id));
        self.answers.iter_mut().rev().find(same)
    }
}

impl Events {
    pub(super) fn turn(&mut self, tid: Tid) -> &mut Turn {
        self.threads.get_or_insert_mut(tid, Turn::default)
    }

    /// The event of a connection that was read.
    pub(super) fn event_of(&mut self, file: FileId) -> Event {
        match self.connections.get_mut(&file) {
            Some(Connection::Inbound {
                open,
                muddled: false,
                ..
            }) => open.first().map_or(Event::Unknown, |r| Event::Request(*r)),
            Some(Connection::Outbound { act, pending }) => {
                *pending = false;
                act.map_or(Event::Unknown, Event::Response)
            }
            Some(Connection::Inbound { .. }) | None => Event::Unknown,
        }
    }

    /// Something is asked for on a connection, in whatever event the thread is.
    pub(super) fn asks(&mut self, tid: Tid, file: FileId) {
        let event = self.turn(tid).event;
        let act = self.act_in(event);
        if let (Event::Response(led), Some(_)) = (event, act)
            && let Some(led) = self.acts.get_mut(&led)
        {
            led.led = true;
        }
        let asked = Connection::Outbound { act, pending: true };
        self.connections.push(file, asked);
    }

    fn act_in(&mut self, event: Event) -> Option<ActId> {
        let (request, within) = match event {
            Event::Unknown => return None,
            Event::Request(request) => (request, None),
            Event::Response(act) => (self.acts.get(&act)?.request, Some(act)),
        };
        self.next += 1;
        let id = ActId(self.next);
        let act = Act {
            request,
            within,
            state: State::Open,
            led: false,
        };
        self.acts.push(id, act);
        Some(id)
    }

    /// A thread goes on with what was asked for on a connection: if that is not what its event is about, the event is
    /// another one, of which nothing was read.
    pub(super) fn goes_on(&mut self, tid: Tid, file: FileId) {
        let Some(Connection::Outbound { act, .. }) = self.connections.peek(&file) else {
            return;
        };
        let asked = act.and_then(|act| self.acts.peek(&act)).map(|a| a.request);
        let event = self.turn(tid).event;
        if asked.is_none() || asked != self.request_of(event) {
            self.turn(tid).event = Event::Unknown;
        }
    }

    fn request_of(&self, event: Event) -> Option<Seq> {
        match event {
            Event::Unknown => None,
            Event::Request(request) => Some(request),
            Event::Response(act) => self.acts.peek(&act).map(|a| a.request),
        }
    }

    /// A thread wrote on the connection of `request`, if that is known. Returns whether it is the one for which the response that was
    /// read last was asked for, the first time that this is seen.
    pub(super) fn passes_on(&mut self, tid: Tid, request: Option<Seq>) -> Option<bool> {
        let event = self.turn(tid).event;
        if request.is_none() || self.request_of(event) != request {
            self.turn(tid).event = Event::Unknown;
        }
        let (Event::Response(id), Some(request)) = (event, request) else {
            return None;
        };
        let act = self.acts.get_mut(&id)?;
        if std::mem::replace(&mut act.led, true) {
            return None;
        }
        let agreed = act.request == request;
        let state = if agreed {
            State::Agreed
        } else {
            State::Differs(request)
        };
        self.settle(id, state);
        Some(agreed)
    }

    /// Notes what became of an act and of those that led to it.
    fn settle(&mut self, id: ActId, state: State) {
        let mut next = Some(id);
        for _ in 0..MAX_REMOVE {
            let Some(act) = next.and_then(|id| self.acts.get_mut(&id)) else {
                return;
            };
            if act.state == State::Open {
                act.state = state;
            }
            next = act.within;
        }
    }
}
