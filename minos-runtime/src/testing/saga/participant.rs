//! The other side of a step, as [the real one](crate::broker) does it.

use super::{event::Answer, world::Checked};
use crate::saga::{Call, Direction};

/// What the other side knows of a step, and what has happened there. Of a local step: what was committed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) happened: u32,
    pub(super) undone: u32,
    pub(super) garbage: bool,
    pub(super) cancelled: bool,
    /// What was prepared for an isolated saga is applied, or dropped.
    pub(super) applied: u32,
    pub(super) dropped: bool,
    /// Whether an operator has said what became of it.
    pub(super) by_hand: bool,
    pub(super) refused_to: u32,
    /// Fails until the operator helps.
    pub(super) broken: bool,
}

/// How the other side handles a request, which it commits with its answer.
pub(super) type Participant = fn(&mut Row, &Call, Answer) -> Checked<()>;

/// A step that was decided stays as it is.
pub(super) fn participate(row: &mut Row, call: &Call, answer: Answer) -> Checked<()> {
    let decided = row.happened > 0 || row.cancelled || call.attempt <= row.refused_to;
    match (call.direction, answer) {
        (Direction::Execute, Answer::Good) if !decided => row.happened += 1,
        (Direction::Execute, Answer::Garbage) if !decided => (row.happened, row.garbage) = (1, true),
        (Direction::Execute, _) if !decided => row.refused_to = call.attempt,
        (Direction::Cancel, Answer::NotDone) => row.cancelled = true,
        (Direction::Commit, Answer::Good) if row.happened == 0 || row.dropped => {
            return Err(format!("`{}` is to be applied, and is not prepared", call.step));
        }
        (Direction::Commit, Answer::Good) => row.applied = 1,
        (Direction::Abort, Answer::Good) if row.applied > 0 => {
            return Err(format!("`{}` is to be dropped, and is applied", call.step));
        }
        (Direction::Abort, Answer::Good) if row.happened > 0 => row.dropped = true,
        (Direction::Abort, Answer::Good) => row.cancelled = true,
        (Direction::Undo, Answer::Good) if row.undone == 0 => {
            if row.happened == 0 {
                return Err(format!("`{}` was undone though it has not happened", call.step));
            }
            row.undone += 1;
        }
        _ => {}
    }
    Ok(())
}
