//! For tests of services, with the feature `testing`, which belongs into the dev-dependencies alone:
//!
//! ```toml
//! [dev-dependencies]
//! minos = { version = "0.1", features = ["testing"] }
//! ```
//!
//! [`given`] begins a test of an aggregate: given what happened, when this is done, then that happens. [`SagaTest`] drives a saga by its replies, [`CrashMatrix`] lets it live through whatever can happen (`minos::crash_matrix!` is the test of one line), and
//! [`TestService`] is what local steps and handlers work on. [`TestService::whole`] starts all of a service, or of several: with HTTP, broker, read models, sagas
//! and schedules, in memory.

mod aggregate;
mod saga;
mod service;
mod whole;

pub use crate::{
    aggregate::lock::{EventsLockError, check_events_lock},
    sample::{NoSample, sample},
};
pub use aggregate::{Changed, CreatedAs, Expected, Given, Gone, Then, given};
pub use saga::{Coverage, CrashMatrix, MatrixError, SagaTest, Sent, StepTest};
pub use service::TestService;
pub use whole::{TestAnswer, TestRunning, WholeService};

/// The test that what is stored stays readable: it holds the aggregates and events of this crate against a file beside its `Cargo.toml`, in which they stand with
/// samples of each version. Those are read by each run of the test, for ever.
///
/// It stands where the unit tests of the crate with the aggregates are, since these are known to no other. `MINOS_EVENTS_LOCK=write cargo test` writes the file,
/// which belongs into the repository, and refuses to when that would hide that stored events cannot be read any more.
///
/// ```ignore
/// #[cfg(test)]
/// minos::events_lock!(); // or in another file: `minos::events_lock!("locks/shop.lock");`
/// ```
///
/// Where no sample of a type can be made, or another one says more, one is given, of values that are the same in each run:
///
/// ```ignore
/// #[cfg(test)]
/// minos::events_lock!("events.lock", samples: { "Order": an_order(), "Order.OrderPaid": OrderPaid { cents: 5 } });
/// ```
#[macro_export]
macro_rules! events_lock {
    () => {
        $crate::events_lock!("events.lock");
    };
    ($file:literal $(, samples: { $($name:literal: $sample:expr),* $(,)? })? $(,)?) => {
        // What is stored can be read.
        #[test]
        fn events_lock() {
            let file = ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", $file);
            let samples = ::std::vec![$($($crate::__private::given_sample($name, &$sample)),*)?];
            if let ::core::result::Result::Err(error) = $crate::__private::check_events_lock(::std::path::Path::new(file), samples) {
                ::core::panic!("{error}");
            }
        }
    };
}
