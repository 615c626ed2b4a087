//! Joins the two ends of a connection that are both observed: the request that one side writes is
//! the request that the other side reads.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZeroUsize;

use foldhash::fast::FixedState;
use lru::LruCache;

use super::{Endpoint, Sighting};
use crate::ids::Seq;
use crate::judged::Address;
use crate::message::RequestHead;

/// Requests that were written and not yet seen to be read, at most, per connection (pipelining).
const MAX_UNREAD: usize = 64;

/// Requests on their way between two observed ends.
#[derive(Debug)]
pub(super) struct Links {
    unread: LruCache<Key, VecDeque<(u64, End)>>,
}

/// A client exchange, and what it was seen as.
type End = (Seq, Sighting);

/// A connection, named as its client end sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Tcp(std::net::SocketAddr, std::net::SocketAddr),
    Unix(u64),
}

impl Default for Links {
    fn default() -> Self {
        const LIMIT: NonZeroUsize = NonZeroUsize::new(super::MAX_CONNECTIONS).expect("not zero");
        Self {
            unread: LruCache::sparse(LIMIT),
        }
    }
}

impl Links {
    /// A client wrote a request.
    pub(super) fn written(&mut self, endpoint: &Endpoint, head: &RequestHead, end: End) {
        let Some(key) = key(endpoint, false) else {
            return;
        };
        let unread = self.unread.get_or_insert_mut(key, VecDeque::new);
        if unread.len() == MAX_UNREAD {
            unread.pop_front();
        }
        unread.push_back((fingerprint(head), end));
    }

    /// What a client wrote will not be seen to be read: it is answered, the connection is another one under the same name, or
    /// is not observed any more.
    pub(super) fn forget(&mut self, endpoint: &Endpoint) {
        if let Some(key) = key(endpoint, false) {
            self.unread.pop(&key);
        }
    }

    /// A server read a request: the oldest unread one of the same content is it. What was written
    /// before that one was read unseen.
    pub(super) fn read(&mut self, endpoint: &Endpoint, head: &RequestHead) -> Option<End> {
        let key = key(endpoint, true)?;
        let unread = self.unread.get_mut(&key)?;
        let print = fingerprint(head);
        let at = unread.iter().position(|(p, _)| *p == print)?;
        let (_, end) = unread.drain(..=at).next_back()?;
        if unread.is_empty() {
            self.unread.pop(&key);
        }
        Some(end)
    }
}

fn key(endpoint: &Endpoint, server: bool) -> Option<Key> {
    if let (Address::Tcp(local), Address::Tcp(remote)) = (&endpoint.local, &endpoint.peer) {
        return Some(if server {
            Key::Tcp(*remote, *local)
        } else {
            Key::Tcp(*local, *remote)
        });
    }
    endpoint.unix_client(server).map(Key::Unix)
}

/// Equal for equal heads; both ends of a connection see the same bytes.
fn fingerprint(head: &RequestHead) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    head.method.hash(&mut hasher);
    head.target.hash(&mut hasher);
    head.host.hash(&mut hasher);
    for context in &head.carrier.contexts {
        context.raw.hash(&mut hasher);
    }
    hasher.finish()
}
