//! What is written for the store, as this thread knows it: serde passes nothing along.

use std::cell::Cell;
use uuid::Uuid;

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Plain) };
}

/// What values are written or read for.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// For anybody.
    Plain,
    /// For the store. They are this one's data, unless it is not said.
    Storing(Option<Uuid>),
    /// For samples, which are made of the type itself.
    Sampling,
}

pub(super) fn mode() -> Mode {
    MODE.get()
}

/// As long as this is there, this thread writes for the store. It must not live across an `await`, behind which another thread may go on.
#[must_use]
pub(crate) struct Guard {
    before: Mode,
    // A mode of this thread is not to be ended on another one.
    _here: std::marker::PhantomData<*const ()>,
}

impl Guard {
    fn begin(mode: Mode) -> Self {
        Guard { before: MODE.replace(mode), _here: std::marker::PhantomData }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        MODE.set(self.before);
    }
}

/// From now on, this thread writes for the store. What is sensitive is data of this subject; of the aggregate itself, if that is not said.
pub(crate) fn storing(subject: Option<Uuid>) -> Guard {
    Guard::begin(Mode::Storing(subject))
}

/// From now on, this thread makes samples of types.
pub(crate) fn sampling() -> Guard {
    Guard::begin(Mode::Sampling)
}
