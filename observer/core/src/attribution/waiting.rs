//! The row of subjects that wait to be decided, each with how long it need not be looked at.

use std::cell::Cell;
use std::ops::{Index, IndexMut};

use super::rest::Rest;
use super::subject::Subject;
use crate::ids::{Seq, Tgid};

/// Subjects as they are taken from it: pointers, since each is moved several times on its way.
pub(super) type Taken = Vec<Box<Subject>>;

/// Subjects, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<Entry>);

/// A subject that waits.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) subject: Box<Subject>,
    /// Beside it, so that nothing of it is touched while that holds.
    pub(super) tgid: Tgid,
    /// How long it is certain not to be due.
    pub(super) rest: Cell<Rest>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// Where a subject waits.
    pub(super) fn at(&self, seq: Seq) -> Option<usize> {
        self.0
            .binary_search_by_key(&seq, |entry| entry.subject.seq)
            .ok()
    }

    pub(super) fn insert(&mut self, subject: Box<Subject>) {
        let seq = subject.seq;
        // The engine numbers in the order of taking in, so that this is nearly always the end.
        let at = match self.0.last() {
            Some(last) if last.subject.seq >= seq => {
                self.0.partition_point(|entry| entry.subject.seq < seq)
            }
            _ => self.0.len(),
        };
        self.0.insert(at, Entry::new(subject));
    }

    /// Puts back what was taken from it.
    pub(super) fn put_back(&mut self, subjects: Taken) {
        if !subjects.is_empty() {
            self.0.extend(subjects.into_iter().map(Entry::new));
            self.0.sort_unstable_by_key(|entry| entry.subject.seq);
        }
    }

    /// Takes out those of which `due` says so, one by one.
    pub(super) fn take(&mut self, due: Vec<bool>) -> Taken {
        if !due.contains(&true) {
            return Taken::new();
        }
        let mut due = due.into_iter();
        let taken = self.0.extract_if(.., |_| due.next().unwrap_or(false));
        let taken = taken.map(|entry| entry.subject).collect();
        // A burst's memory is given back step by step.
        if self.0.len() < self.0.capacity() / 8 {
            self.0.shrink_to(self.0.capacity() / 2);
        }
        taken
    }

    /// The subjects of a process, to be changed.
    pub(super) fn of_mut(&mut self, tgid: Tgid) -> impl Iterator<Item = &mut Subject> {
        let of_it = self.0.iter_mut().filter(move |entry| entry.tgid == tgid);
        of_it.map(Entry::changing)
    }
}

impl Index<usize> for Waiting {
    type Output = Subject;

    fn index(&self, at: usize) -> &Subject {
        &self.0[at].subject
    }
}

impl IndexMut<usize> for Waiting {
    /// What was found of it holds no longer.
    fn index_mut(&mut self, at: usize) -> &mut Subject {
        self.0[at].changing()
    }
}

impl Entry {
    fn new(subject: Box<Subject>) -> Self {
        Self {
            tgid: subject.tgid,
            rest: Cell::new(Rest::none()),
            subject,
        }
    }

    fn changing(&mut self) -> &mut Subject {
        self.rest.set(Rest::none());
        &mut self.subject
    }
}
