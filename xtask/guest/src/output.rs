//! What a step prints, collected while it runs.

use std::{
    io::Read,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver},
    },
    thread,
    time::Instant,
};

/// Bytes that are kept.
const KEPT: usize = 8 << 20;

/// One of a step's outputs.
pub struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    end: Receiver<()>,
}

impl Output {
    /// Begins to read `from`.
    pub fn of(mut from: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (read, (ended, end)) = (Arc::clone(&bytes), mpsc::channel());
        thread::spawn(move || {
            let mut chunk = [0; 16 * 1024];
            // What was read before an error is worth having.
            while let Ok(n @ 1..) = from.read(&mut chunk) {
                let mut bytes = read.lock().unwrap_or_else(PoisonError::into_inner);
                let room = KEPT - bytes.len();
                bytes.extend_from_slice(&chunk[..n.min(room)]);
            }
            // Nobody waits any more if it took too long.
            let _ = ended.send(());
        });
        Self { bytes, end }
    }

    /// What was printed until the end, or until the `deadline`: descendants of the step may keep its output open.
    pub fn text(self, deadline: Instant) -> String {
        let left = deadline.saturating_duration_since(Instant::now());
        // Either way there is no more to wait for.
        let _ = self.end.recv_timeout(left);
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Write, pipe},
        time::Duration,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_printed_is_told_even_if_the_output_stays_open() {
        let (from, mut to) = pipe().expect("made");
        to.write_all(b"printed").expect("written");
        let output = Output::of(from);
        while output.bytes.lock().expect("not poisoned").is_empty() {
            thread::yield_now();
        }
        assert_eq!(output.text(Instant::now()), "printed");
        drop(to);
    }

    #[test]
    fn of_too_much_the_beginning_is_kept() {
        let text = Output::of(std::io::repeat(b'x').take(KEPT as u64 + 1));
        assert_eq!(text.text(Instant::now() + LONG).len(), KEPT);
    }
}
