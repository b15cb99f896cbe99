//! What has happened, to be read.

use super::event::{Answer, Event};
use crate::saga::{Call, Direction, Repair, StepStatus};
use std::fmt;

/// Events, each in a line; what is not as it should be has a mark.
pub(super) struct Story<'e>(pub(super) &'e [Event]);

impl fmt::Display for Story<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, event) in self.0.iter().enumerate() {
            let mark = if event.is_fault() { "!" } else { " " };
            writeln!(f, "{:4}. {mark} {event}", n + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Deliver { call, answer, again, .. } => {
                let again = if *again { ", and the same request stays on its way" } else { "" };
                write!(f, "the other side is asked {}, and answers {}{again}", wish(call), words(call, *answer))
            }
            Event::Reply { call, answer, again } => {
                let again = if *again { ", and the same answer stays on its way" } else { "" };
                write!(f, "the saga, which has asked {}, is answered {}{again}", wish(call), words(call, *answer))
            }
            Event::Lose { call, answer } => {
                write!(f, "the saga, which has asked {}, is never answered {}", wish(call), words(call, *answer))
            }
            Event::Run { call, answer, again, .. } => {
                let again = if *again { ", and it runs elsewhere, too" } else { "" };
                let Call { step, direction, attempt } = call;
                let what = if *direction == Direction::Undo { "the compensation of " } else { "" };
                let how = match answer {
                    Answer::Good => "is done and committed",
                    Answer::Transient => "fails, and may succeed later",
                    _ => "fails for good",
                };
                write!(f, "{what}local step `{step}` {how} (attempt {attempt}){again}")
            }
            Event::Break { call } => write!(f, "whoever is asked {} fails from now on, until an operator helps", wish(call)),
            Event::Due { step, status: StepStatus::UnderWay(_), .. } => write!(f, "`{step}` is not answered in time"),
            Event::Due { step, .. } => write!(f, "the pause of `{step}` ends"),
            Event::Ask { step } => write!(f, "whoever has prepared `{step}` asks what is decided"),
            Event::Crash => f.write_str("the service dies, and starts again"),
            Event::Repair { repair: Repair::Retry { step }, .. } => write!(f, "the operator has `{step}` tried again"),
            Event::Repair { repair: Repair::Skip { step, value: Some(value) }, .. } => {
                write!(f, "the operator has done `{step}` by hand, which gives {value}")
            }
            Event::Repair { repair: Repair::Skip { step, value: None }, .. } => {
                write!(f, "the operator says that `{step}` will never be done")
            }
            Event::Repair { repair: Repair::Rollback, .. } => f.write_str("the operator wants the saga rolled back"),
        }
    }
}

fn wish(call: &Call) -> String {
    let Call { step, direction, attempt } = call;
    let what = match direction {
        Direction::Execute => format!("to do `{step}`"),
        Direction::Cancel => format!("whether `{step}` was done, and never to do it if not"),
        Direction::Undo => format!("to undo `{step}`"),
        Direction::Commit => format!("to apply what `{step}` has prepared"),
        Direction::Abort => format!("to drop what `{step}` has prepared"),
    };
    format!("{what} (attempt {attempt})")
}

fn words(call: &Call, answer: Answer) -> &'static str {
    match (answer, call.direction) {
        (Answer::Good, Direction::Undo) => "that it is undone",
        (Answer::Good, Direction::Commit) => "that it is applied",
        (Answer::Good, Direction::Abort) => "that it is dropped",
        (Answer::Good, _) => "that it is done",
        (Answer::Garbage, _) => "what cannot be read",
        (Answer::NotDone, _) => "that it is not done, and never will be",
        (Answer::Transient, _) => "an error that may pass",
        (Answer::Permanent, _) => "an error",
    }
}
