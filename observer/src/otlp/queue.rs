//! What waits to be exported: bounded in number and in bytes, and never waited for by who fills it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Items that wait, at most.
pub const MAX_ITEMS: usize = 65_536;

/// Bytes that they take, at most.
pub const MAX_BYTES: usize = 32 << 20;

/// What waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Items.
    pub items: usize,
    /// Bytes that they take, about.
    pub bytes: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
}

/// A queue between the session's thread and a worker.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Notify,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                bytes: 0,
                closed: false,
            }),
            filled: Notify::new(),
        }
    }
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item of about `bytes` bytes; `false` if there is no room, and it is lost.
    #[must_use]
    pub fn push(&self, item: T, bytes: usize) -> bool {
        let mut state = self.lock();
        if state.closed || state.items.len() >= MAX_ITEMS || state.bytes + bytes > MAX_BYTES {
            return false;
        }
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        drop(state);
        self.filled.notify_one();
        true
    }

    /// How many items wait, and how many bytes they take.
    pub fn waiting(&self) -> Waiting {
        let state = self.lock();
        Waiting {
            items: state.items.len(),
            bytes: state.bytes,
        }
    }

    /// Takes no more items; those that wait can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Takes a batch: as soon as there are `items` items or `bytes` bytes, or `delay` after there is
    /// one. An empty batch says that the queue is closed and nothing is left.
    pub async fn take(&self, items: usize, bytes: usize, delay: Duration) -> Vec<T> {
        let mut deadline = None;
        loop {
            {
                let mut state = self.lock();
                let full = state.items.len() >= items || state.bytes >= bytes;
                let late = deadline.is_some_and(|d| Instant::now() >= d);
                if full || state.closed || late {
                    return state.batch(items, bytes);
                }
                if !state.items.is_empty() && deadline.is_none() {
                    deadline = Some(Instant::now() + delay);
                }
            }
            match deadline {
                None => self.filled.notified().await,
                // That time is over is seen above.
                Some(deadline) => {
                    let _ = timeout_at(deadline, self.filled.notified()).await;
                }
            }
        }
    }
}

impl<T> State<T> {
    fn batch(&mut self, items: usize, bytes: usize) -> Vec<T> {
        let mut batch = Vec::new();
        let mut taken = 0;
        while batch.len() < items
            && (batch.is_empty() || taken < bytes)
            && let Some((item, size)) = self.items.pop_front()
        {
            taken += size;
            batch.push(item);
        }
        self.bytes -= taken;
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(queue: &Queue<u32>, items: usize, bytes: usize) -> Vec<u32> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(queue.take(items, bytes, Duration::from_millis(1)))
    }

    #[test]
    fn batches_are_bounded_and_keep_the_order() {
        let queue = Queue::default();
        assert!((0..5).all(|n| queue.push(n, 10)));
        let waiting = queue.waiting();
        assert_eq!((waiting.items, waiting.bytes), (5, 50));
        assert_eq!(take(&queue, 2, 1_000), [0, 1]);
        assert_eq!(take(&queue, 9, 15), [2, 3]);
        assert_eq!(take(&queue, 9, 1_000), [4]);
        queue.close();
        assert!(take(&queue, 9, 1_000).is_empty());
        assert!(!queue.push(7, 1));
    }

    #[test]
    fn what_finds_no_room_is_refused_at_once() {
        let queue = Queue::default();
        assert!(queue.push(1, MAX_BYTES));
        assert!(!queue.push(2, 1));
        assert_eq!(take(&queue, 9, 1), [1]);
        assert!((0..).take(MAX_ITEMS).all(|n| queue.push(n, 0)));
        assert!(!queue.push(1, 0));
    }
}
