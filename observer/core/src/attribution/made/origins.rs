//! Where tasks were made, by whom, and for what.

use super::pieces::Piece;
use super::{Made, Task};
use crate::attribution::births::BirthId;
use crate::attribution::subject::Hold;
use crate::ids::{KernelNanos, Seq};

/// Collections that may move a task while it runs, at most; of one that runs longer nothing is concluded.
const MAX_MOVES: usize = 64;

/// Tasks that made each other, at most.
const MAX_REMOVE: usize = 8;

/// Who made a task.
#[derive(Debug)]
pub(super) struct Maker<'a> {
    /// Where it was made.
    pub(super) piece: &'a Piece,
    /// What whoever made it did.
    pub(super) hold: &'a Hold,
    /// Until when it is known to have done so.
    pub(super) held: KernelNanos,
    /// Whether it is known to have been that one; if not, it is too early to say.
    pub(super) proven: bool,
}

/// Where a task was made, or the one for which it was made.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) maker: Maker<'a>,
    /// Whether the classes of all these tasks are believed; if not, it is too early to say.
    pub(super) proven: bool,
    /// When one of these tasks was seen to run last.
    pub(super) last: KernelNanos,
    /// Whether they are all known to be over.
    pub(super) done: bool,
}

impl<'a> Maker<'a> {
    /// The one that has filled a piece which none shares.
    fn alone(piece: &'a Piece) -> Self {
        Self {
            piece,
            hold: &piece.hold,
            held: piece.until,
            proven: true,
        }
    }
}

impl Made {
    /// The piece of a buffer in which a task was made.
    pub(super) fn piece(&self, task: Task) -> Option<&Piece> {
        self.pieces.find(task.place())
    }

    /// Whether something that its thread carried may have filled a piece, which was not told yet.
    pub(super) fn is_carried(&self, piece: &Piece) -> bool {
        !matches!(piece.hold, Hold::Running(_)) && self.carriers.contains(&piece.by)
    }

    /// Who made a task, as far as it is known, or may be known once more is known of its class.
    fn maker(&self, task: Task) -> Option<Maker<'_>> {
        let piece = self.piece(task).filter(|piece| !self.is_carried(piece))?;
        if !piece.shared {
            return Some(Maker::alone(piece));
        }
        let usual = self.usual.is_of_first(task, piece);
        let proven = usual.or(self.believes(task).map(|_| false));
        Some(Maker {
            piece,
            hold: piece.first.as_ref().filter(|_| proven != Some(false))?,
            held: piece.since,
            proven: proven == Some(true),
        })
    }

    /// When a task was seen to run last, by whatever address, and whether it is known to be over.
    fn life(&self, task: Task) -> Option<(KernelNanos, bool)> {
        let mut run = self.runs.peek(&task)?;
        let mut at = task;
        for _ in 0..MAX_MOVES {
            // What lies where a thread has made something since is another one, so that this one was over.
            let Some(moved) = run.moved.filter(|moved| self.piece(*moved).is_none()) else {
                let seen = self.threads.peek(&run.tid);
                return Some((run.last, seen.is_some_and(|seen| seen.at != Some(at))));
            };
            at = moved;
            run = self.runs.peek(&moved)?;
        }
        None
    }

    /// Whether it is told what the thread with this birth was started to run, but not yet known who made that.
    pub(super) fn is_target_open(&self, birth: BirthId) -> bool {
        let place = self.targets.of(birth);
        place.is_some_and(|place| self.pieces.find(place).is_none())
    }

    /// Where that was made which the thread with this birth was started to run, or the task for which that was made.
    pub(super) fn target(&self, birth: BirthId) -> Option<Origin<'_>> {
        let piece = self.pieces.find(self.targets.of(birth)?)?;
        if piece.shared {
            return None;
        }
        match &piece.hold {
            Hold::Serving(_) | Hold::Running(_) => Some(Origin {
                maker: Maker::alone(piece),
                proven: true,
                last: KernelNanos::default(),
                done: true,
            }),
            _ => self.trace(piece.task?).filter(|origin| origin.proven),
        }
    }

    /// Where some work's task was made.
    fn traced(&self, work: Seq) -> Option<Origin<'_>> {
        self.trace(*self.work.peek(&work)?)
    }

    /// Where a task, or the one for which that was made, was made by what may have served a request, or was started for one.
    fn trace(&self, mut task: Task) -> Option<Origin<'_>> {
        let (mut proven, mut last, mut done) = (true, KernelNanos::default(), true);
        for _ in 0..MAX_REMOVE {
            match self.believes(task) {
                Some(true) => {}
                Some(false) => return None,
                None => proven = false,
            }
            let life = self.life(task)?;
            (last, done) = (last.max(life.0), done && life.1);
            let maker = self.maker(task)?;
            proven &= maker.proven;
            match (maker.hold, maker.piece.task) {
                (Hold::Serving(_) | Hold::Running(_), _) | (Hold::Born(_), None) => {
                    return Some(Origin {
                        maker,
                        proven,
                        last,
                        done,
                    });
                }
                (_, made_for) => task = made_for?,
            }
        }
        None
    }

    /// Where some work's task was made, as far as that is believed.
    pub(super) fn origin(&self, work: Seq) -> Option<Origin<'_>> {
        self.traced(work).filter(|origin| origin.proven)
    }

    /// Whether it is too early to say if it is to be believed who made some work's task.
    pub(super) fn is_open(&self, work: Seq) -> bool {
        self.traced(work).is_some_and(|origin| !origin.proven)
    }
}
