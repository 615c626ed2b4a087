//! Which connections and threads belong to one client, where several threads write its calls.
//!
//! A connection is one client's, and so is a thread of a client's pool: all threads that wrote calls on one connection, and all
//! connections on which one thread wrote, belong together. What one of them does with pooled connections holds for all.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::Habits;
use crate::ids::Tid;

/// Groups that are remembered.
const MAX_GROUPS: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Threads whose group is remembered.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Groups that became one after the other part of another one, at most.
const MAX_STEPS: usize = 64;

/// Which of all groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::attribution) struct GroupId(u64);

#[derive(Debug)]
enum Group {
    /// What its threads do with pooled connections.
    Whole(Habits),
    /// It turned out to be a part of another one.
    Part(GroupId),
}

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    groups: LruCache<GroupId, Group>,
    threads: LruCache<Tid, GroupId>,
    next: u64,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            groups: LruCache::sparse(MAX_GROUPS),
            threads: LruCache::sparse(MAX_THREADS),
            next: 0,
        }
    }
}

impl Groups {
    /// A thread of a client wrote on a connection, of which it is known already that it belongs to a group, or not: to which both
    /// belong now.
    pub(super) fn wrote(&mut self, writer: Tid, of: Option<GroupId>) -> GroupId {
        let connection = of.and_then(|id| self.whole(id));
        let thread = self.threads.get(&writer).copied();
        let thread = thread.and_then(|id| self.whole(id));
        let group = match (connection, thread) {
            (Some(one), Some(other)) if one != other => self.join(one, other),
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => {
                self.next += 1;
                let id = GroupId(self.next);
                self.groups.push(id, Group::Whole(Habits::default()));
                id
            }
        };
        self.threads.push(writer, group);
        group
    }

    /// A pooled connection was used again; `probed` if another one had looked after it before, for that use.
    pub(super) fn used(&mut self, id: GroupId, probed: bool) {
        let whole = self.whole(id);
        if let Some(Group::Whole(habits)) = whole.and_then(|id| self.groups.get_mut(&id)) {
            habits.used(probed);
        }
    }

    /// What the threads of a group do with pooled connections.
    pub(super) fn habits(&self, id: GroupId) -> Habits {
        match self.whole(id).and_then(|id| self.groups.peek(&id)) {
            Some(Group::Whole(habits)) => *habits,
            _ => Habits::default(),
        }
    }

    /// A thread ended: another one may have its number.
    pub(super) fn thread_ended(&mut self, tid: Tid) {
        self.threads.pop(&tid);
    }

    /// The group of which this one is a part by now.
    fn whole(&self, mut id: GroupId) -> Option<GroupId> {
        for _ in 0..MAX_STEPS {
            match self.groups.peek(&id)? {
                Group::Whole(_) => return Some(id),
                Group::Part(of) => id = *of,
            }
        }
        None
    }

    /// Makes one group of two.
    fn join(&mut self, one: GroupId, other: GroupId) -> GroupId {
        // The older one stays, so that few steps lead to it.
        let (stays, ends) = if one.0 < other.0 {
            (one, other)
        } else {
            (other, one)
        };
        let more = self.habits(ends);
        self.groups.push(ends, Group::Part(stays));
        if let Some(Group::Whole(habits)) = self.groups.get_mut(&stays) {
            habits.add(more);
        }
        stays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_write_on_one_connection_belong_together() {
        let mut groups = Groups::default();
        let first = groups.wrote(Tid(1), None);
        let second = groups.wrote(Tid(2), None);
        assert_ne!(first, second);
        for _ in 0..5 {
            groups.used(second, true);
        }
        assert!(!groups.habits(first).takes_anew(), "another client");
        let joined = groups.wrote(Tid(1), Some(second));
        assert_eq!(joined, groups.wrote(Tid(2), Some(second)));
        assert!(groups.habits(first).takes_anew());
        groups.used(first, false);
        assert!(!groups.habits(second).takes_anew(), "one use of any of it");
    }

    #[test]
    fn a_thread_with_the_number_of_one_that_ended_is_another() {
        let mut groups = Groups::default();
        let first = groups.wrote(Tid(1), None);
        groups.thread_ended(Tid(1));
        assert_ne!(groups.wrote(Tid(1), None), first);
    }
}
