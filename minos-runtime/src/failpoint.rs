//! Named places at which a test can make the process end, as if it were killed there. Without the feature `failpoints` they cost nothing.
//!
//! `FAILPOINTS="relay.save.after=2*off->1*return;saga.turn.commit.before/pay/undo=1*return"` ends it when the third save of the relay is committed, or
//! before the first commit that says that `pay` is undone. Whatever a point returns, the process ends there.

use std::fmt::Arguments;

/// A handler is about to run; of this function, or for this step: `handler.before/pay_order`, `handler.before/pay/execute`.
pub(crate) const HANDLER_BEFORE: &str = "handler.before";
/// What a handler has done is about to be committed.
pub(crate) const HANDLER_COMMIT_BEFORE: &str = "handler.commit.before";
/// What a handler has done is committed, its answer is not on its way, and what it has started is not begun.
pub(crate) const HANDLER_COMMIT_AFTER: &str = "handler.commit.after";

/// A message for a step has come: `participant.before/pay/cancel`.
pub(crate) const PARTICIPANT_BEFORE: &str = "participant.before";
/// An answer that no handler commits is about to be: that of a refusal, a cancellation, or a repetition.
pub(crate) const PARTICIPANT_ANSWER_BEFORE: &str = "participant.answer.before";
/// Such an answer is committed.
pub(crate) const PARTICIPANT_ANSWER_AFTER: &str = "participant.answer.after";

/// The answer to a step has come, and its execution is not loaded: `saga.answer/pay/execute`.
pub(crate) const SAGA_ANSWER: &str = "saga.answer";
/// An execution is loaded, and its turn not made: `saga.turn.loaded/pay/execute`, or `/due`, `/resumed`, `/repair` for what is no answer.
pub(crate) const SAGA_LOADED: &str = "saga.turn.loaded";
/// A turn is about to be committed.
pub(crate) const SAGA_COMMIT_BEFORE: &str = "saga.turn.commit.before";
/// A turn is committed, and nothing that follows is begun.
pub(crate) const SAGA_COMMIT_AFTER: &str = "saga.turn.commit.after";
/// What follows from a turn is begun.
pub(crate) const SAGA_SETTLED: &str = "saga.turn.settled";
/// A local step is about to run: `saga.local.before/note/execute`.
pub(crate) const SAGA_LOCAL_BEFORE: &str = "saga.local.before";
/// A local step has run, and nothing of it is committed.
pub(crate) const SAGA_LOCAL_DONE: &str = "saga.local.done";
/// An execution whose time has come is about to be looked at.
pub(crate) const SAGA_TIMER_BEFORE: &str = "saga.timer.before";
/// It was looked at.
pub(crate) const SAGA_TIMER_AFTER: &str = "saga.timer.after";

/// A message is about to be handed to the broker; of this topic: `relay.send.before/Pay`.
pub(crate) const RELAY_SEND_BEFORE: &str = "relay.send.before";
/// The broker has answered for a message, and that is not saved.
pub(crate) const RELAY_SEND_AFTER: &str = "relay.send.after";
/// The relay is about to save how far it came.
pub(crate) const RELAY_SAVE_BEFORE: &str = "relay.save.before";
/// The relay has saved how far it came.
pub(crate) const RELAY_SAVE_AFTER: &str = "relay.save.after";

/// A message was delivered, and is not handled; of this name: `consume.before/Pay`.
pub(crate) const CONSUME_BEFORE: &str = "consume.before";
/// A message was handled, and the broker does not know it.
pub(crate) const CONSUME_AFTER: &str = "consume.after";

#[cfg(not(feature = "failpoints"))]
pub(crate) use off::{detail, pass};
#[cfg(feature = "failpoints")]
pub(crate) use on::{configure, detail, pass};

#[cfg(not(feature = "failpoints"))]
mod off {
    use super::*;

    #[inline(always)]
    pub(crate) fn pass(_point: &'static str, _detail: Arguments<'_>) {}

    #[inline(always)]
    pub(crate) fn detail(_detail: Arguments<'_>) -> String {
        String::new()
    }
}

#[cfg(feature = "failpoints")]
mod on {
    use super::*;
    use crate::error::{Error, Result};
    use std::{env, io::Write, process};

    /// All of them.
    const ALL: [&str; 21] = [
        HANDLER_BEFORE,
        HANDLER_COMMIT_BEFORE,
        HANDLER_COMMIT_AFTER,
        PARTICIPANT_BEFORE,
        PARTICIPANT_ANSWER_BEFORE,
        PARTICIPANT_ANSWER_AFTER,
        SAGA_ANSWER,
        SAGA_LOADED,
        SAGA_COMMIT_BEFORE,
        SAGA_COMMIT_AFTER,
        SAGA_SETTLED,
        SAGA_LOCAL_BEFORE,
        SAGA_LOCAL_DONE,
        SAGA_TIMER_BEFORE,
        SAGA_TIMER_AFTER,
        RELAY_SEND_BEFORE,
        RELAY_SEND_AFTER,
        RELAY_SAVE_BEFORE,
        RELAY_SAVE_AFTER,
        CONSUME_BEFORE,
        CONSUME_AFTER,
    ];

    /// Arms the points that the environment names.
    ///
    /// # Errors
    /// If there is no such point, or what it is to do cannot be read: a test would wait for it in vain.
    pub(crate) fn configure() -> Result<()> {
        let points = env::var("FAILPOINTS").unwrap_or_default();
        for point in points.split(';').map(str::trim).filter(|point| !point.is_empty()) {
            let wrong = |why: &str| Error::invalid(format!("FAILPOINTS: `{point}`: {why}"));
            let (name, actions) = point.split_once('=').ok_or_else(|| wrong("write `name=1*return`"))?;
            if !ALL.contains(&name.split('/').next().unwrap_or_default()) {
                return Err(wrong(&format!("there is no such point, only {}", ALL.join(", "))));
            }
            fail::cfg(name, actions).map_err(|why| wrong(&why))?;
        }
        Ok(())
    }

    /// Passes a point, and the one that has this behind its name.
    pub(crate) fn pass(point: &'static str, detail: Arguments<'_>) {
        for name in [point.to_owned(), format!("{point}/{detail}")] {
            fail::fail_point!(&name, |_| -> () { end(&name) });
        }
    }

    /// What will stand behind the name of a point, of something that is gone by then.
    pub(crate) fn detail(detail: Arguments<'_>) -> String {
        detail.to_string()
    }

    /// Ends the process as a kill does: nothing is finished, flushed or dropped.
    fn end(name: &str) -> ! {
        // Not by `tracing`, which a test may have switched off.
        let _ = writeln!(std::io::stderr(), "failpoint {name}: the process ends here");
        process::abort();
    }
}
