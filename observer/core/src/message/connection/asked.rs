//! Requests that wait for their response, oldest first.

use std::collections::VecDeque;

/// Requests without an answer on one connection at most.
const MAX_ASKED: usize = 1024;

/// What framing and telling of a response need to know of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The method was `HEAD`: the response has no body.
    pub head: bool,
    /// The method was `CONNECT`: a 2xx response opens a tunnel.
    pub connect: bool,
    /// Nothing is told about the response.
    pub silent: bool,
}

/// The requests that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<Asked>,
    /// A request was sent before the one before it was answered.
    pipelined: bool,
    /// Requests or responses may have been missed on a connection that pipelines: which response
    /// answers which request can't be known any more.
    doubtful: bool,
}

impl Waiting {
    /// A request was sent; `false` when too many wait.
    pub fn push(&mut self, asked: Asked) -> bool {
        if self.queue.front().is_some_and(|a| a.silent) && !self.pipelined {
            // Whoever does not pipeline had the answers to its earlier requests.
            self.queue.clear();
        }
        self.pipelined |= !self.queue.is_empty();
        self.queue.push_back(asked);
        self.queue.len() <= MAX_ASKED
    }

    /// The request that the next response answers.
    pub fn pop(&mut self) -> Option<Asked> {
        self.queue.pop_front()
    }

    /// The next response can't be given to a request although requests wait.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful && self.queue.iter().any(|a| !a.silent)
    }

    /// A request waits that will be told of.
    pub fn is_open(&self) -> bool {
        self.queue.iter().any(|a| !a.silent)
    }

    /// Bytes were lost: nothing more is told about what waits.
    pub fn lost(&mut self) {
        self.doubtful |= self.pipelined;
        for asked in &mut self.queue {
            asked.silent = true;
        }
    }

    /// It turned out that requests are sent before earlier ones are answered, or answers are missed.
    pub fn mistrust(&mut self) {
        self.pipelined = true;
    }
}
