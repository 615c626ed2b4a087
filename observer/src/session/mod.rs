//! One session: inputs from a source, through the pipeline, to a sink and a recording.
//!
//! A live watch and a replay run this same loop; only the source differs. Everything happens on one
//! thread: the pipeline is faster than what feeds it, and a queue to a second thread would only
//! move the place where a slow reader of the output makes records wait. They wait in the kernel's
//! ring, where what finds no room is counted and told.

mod record;
mod replay;

use std::io;

use observer_core::engine::{Config, Engine, Feedback, Input};
use observer_core::judged::Judged;
pub use record::{RecordError, Recorder};
pub use replay::{OpenError, Replay};

use crate::sink::Sink;

/// Whether a source has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It may have.
    More,
    /// That was all.
    End,
}

/// Where inputs come from.
pub trait Source {
    /// What may go wrong so that nothing more can come.
    type Error;

    /// Hands out what is there, in the order in which it happened, a tick last; waits a moment
    /// if nothing is.
    ///
    /// # Errors
    ///
    /// If nothing more can come.
    fn pump(&mut self, into: impl FnMut(Input<'_>)) -> Result<Flow, Self::Error>;

    /// Takes note of what the pipeline no longer needs.
    fn apply(&mut self, feedback: Vec<Feedback>);
}

/// Why a session ended early.
#[derive(Debug)]
pub enum SessionError<E> {
    /// The source failed.
    Source(E),
    /// What is found can't be shown. If the reader has gone away, that is how it says that it has
    /// enough.
    Output(io::Error),
}

/// How a session went, when it came to its end.
#[derive(Debug, Default)]
pub struct Done {
    /// Why the recording ended before the session, if it did.
    pub recording: Option<RecordError>,
}

/// Runs a session to its end: until the source has no more, or fails.
///
/// A source that fails ends the session too, but what it gave before is judged and summed up first.
///
/// # Errors
///
/// See [`SessionError`].
pub fn run<S: Source>(
    source: &mut S,
    config: Config,
    mut sink: Box<dyn Sink + '_>,
    mut recorder: Option<Recorder>,
) -> Result<Done, SessionError<S::Error>> {
    let mut engine = Engine::new(config);
    let fed = feed(source, &mut engine, sink.as_mut(), recorder.as_mut());
    // A recording is ended whether or not anybody still reads the output.
    let recording = recorder.and_then(|recorder| recorder.finish().err());
    let failed = fed.map_err(SessionError::Output)?;
    let mut judged = Vec::new();
    let summary = engine.finish(&mut judged);
    show(&mut judged, sink.as_mut()).map_err(SessionError::Output)?;
    sink.finish(summary).map_err(SessionError::Output)?;
    match failed {
        Some(error) => Err(SessionError::Source(error)),
        None => Ok(Done { recording }),
    }
}

/// Takes all that the source has; gives why it failed, if it did.
fn feed<S: Source>(
    source: &mut S,
    engine: &mut Engine,
    sink: &mut dyn Sink,
    mut recorder: Option<&mut Recorder>,
) -> io::Result<Option<S::Error>> {
    let mut judged = Vec::new();
    loop {
        let mut tick = None;
        let flow = source.pump(|input| {
            if let Some(recorder) = &mut recorder {
                recorder.input(&input);
            }
            match &input {
                Input::Tick { now, .. } => tick = Some(*now),
                Input::Process(facts) => sink.process(facts),
                Input::Record(_)
                | Input::File(_)
                | Input::Peer(_)
                | Input::Sampling { .. }
                | Input::Reckoned { .. }
                | Input::Pause { .. }
                | Input::Resume { .. } => {}
            }
            engine.input(input, &mut judged);
        });
        source.apply(engine.feedback());
        show(&mut judged, sink)?;
        if let Some(now) = tick {
            sink.tick(now)?;
            sink.count(&|| engine.tally());
        }
        match flow {
            Ok(Flow::More) => {}
            Ok(Flow::End) => return Ok(None),
            Err(error) => return Ok(Some(error)),
        }
    }
}

fn show(judged: &mut Vec<Judged>, sink: &mut dyn Sink) -> io::Result<()> {
    for item in judged.drain(..) {
        // The summary comes last, after what the sink still holds back.
        if !matches!(item, Judged::Summary(_)) {
            sink.judged(item)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
