//! The one door for expansions. Not public API: anything here may change in any release.
//!
//! The signatures are quoted in compiler messages, so they are short and stable. What is generic here is compiled once for each handler or
//! type of the user, so it calls what is not generic as soon as it can.

pub use crate::__persisted as persisted;
#[cfg(any(test, feature = "testing"))]
pub use crate::{
    aggregate::lock::{Persisted, check as check_persisted, check_with as check_events_lock, given_sample},
    testing,
};
pub use crate::{
    aggregate::{
        Aggregate, AggregateDef, AggregateRef, AggregateRefDef, Created, Deleted, DomainEvent, EventDef, Evolution, EvolutionDef, Field,
        Limit, NewValue, QueryableDef, Recorded, Root, RulesDef, SetsDef, Snapshots, Stored, Subject, UniqueDef, Updated, Validate,
        Violations, WasSet, load as load_from_snapshot, old_content, upcast, upcast_fields,
    },
    auth::Access,
    context::Context,
    document::{Column, Document, IndexDef},
    error::{Error, Problem, ProblemDef, Result},
    handler::{About, Answer, FromRequest, HandlerDef, HandlerError, Kind, Request, Response},
    message::{Message, MessageDef, MessageField, Replies},
    projection::{ProjectedEvent, Projection, ProjectionDef, ProjectionHandler, View, Work, projected},
    sample::{Look, NotTraced, Of, Seen},
};
pub use futures_util::future::BoxFuture;
pub use inventory;
pub use jiff::Timestamp;
pub use serde;
pub use serde_json::Value as Json;
pub use std::{
    boxed::Box,
    collections::BTreeMap,
    format,
    process::ExitCode,
    string::{String, ToString},
    vec::Vec,
};
pub use uuid::Uuid;

/// Registers what is stored of a type, for `events.lock`. It stands in tests alone, and their crate need not know the feature `testing`: then it is nothing.
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __persisted {
    ($kind:ident $ty:ty) => {
        $crate::__private::inventory::submit! {
            $crate::__private::Persisted::$kind::<$ty>(::core::module_path!(), ::core::file!(), ::core::line!())
        }
    };
}
/// Nothing is registered without the feature `testing`.
#[cfg(not(any(test, feature = "testing")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __persisted {
    ($($any:tt)*) => {};
}

/// What is written in place of the test, where its feature is missing.
#[cfg(not(any(test, feature = "testing")))]
#[doc(hidden)]
#[macro_export]
macro_rules! events_lock {
    ($($any:tt)*) => {
        ::core::compile_error!("`events_lock!` takes the feature `testing`\nhelp: `minos = { version = \"0.1\", features = [\"testing\"] }` in the dev-dependencies");
    };
}

use crate::aggregate::States;
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{self, Poll},
    time::Duration,
};

/// The rules of `#[validate(…)]`.
pub mod rules {
    pub use crate::aggregate::validate::rules::*;
    pub use std::ops::Bound;
}

/// What `saga!` writes.
pub mod saga {
    pub use crate::saga::{Node, Output, Retry, Saga, SagaDef, SagaValue, Slot, Step, StepKind, Values, View, Work, call::*, slot};
    pub use std::time::Duration;
}

/// Reads one parameter of a handler.
pub fn extract<T: FromRequest>(request: &Request) -> Result<T> {
    T::from_request(request)
}

/// Reads one parameter of a query.
pub fn extract_for_query<T: FromRequest>(request: &Request) -> Result<T> {
    T::for_query(request)
}

/// The answer of a handler that cannot fail.
pub fn answer<T: Answer>(value: T) -> Result<Response> {
    value.answer()
}

/// The answer of a handler that can fail.
pub fn answer_result<T: Answer, E: HandlerError>(result: Result<T, E>) -> Result<Response> {
    match result {
        Ok(value) => value.answer(),
        Err(error) => Err(error.into_error()),
    }
}

/// Runs a handler. It gets the user's own future, so that the compiler speaks of that one when it is not `Send`.
pub fn run<'a, F: Future + Send + 'a>(future: F, answer: fn(F::Output) -> Result<Response>) -> BoxFuture<'a, Result<Response>> {
    Box::pin(Run { future, answer })
}

pin_project! {
    // A handler under way, and how its output becomes the answer. As an `async` block it would be one more state machine for each handler.
    struct Run<F: Future> {
        #[pin]
        future: F,
        answer: fn(F::Output) -> Result<Response>,
    }
}

impl<F: Future> Future for Run<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Result<Response>> {
        let this = self.project();
        match this.future.poll(cx) {
            Poll::Ready(output) => Poll::Ready((this.answer)(output)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The answer of a handler whose parameters cannot be read.
pub fn fail<'a>(error: Error) -> BoxFuture<'a, Result<Response>> {
    Box::pin(std::future::ready(Err(error)))
}

/// Whose data the sensitive fields of an aggregate are, as its `#[subject]` says.
pub fn subject<T: Subject>(field: &T) -> Option<Uuid> {
    field.subject()
}

/// Answers who resolves references to aggregates of this type.
pub fn states<'a, A: Aggregate>(cx: &'a mut Context, request: &Request) -> BoxFuture<'a, Result<Response>> {
    match extract::<States>(request) {
        Ok(states) => Box::pin(async move { Response::json(&crate::aggregate::states::<A>(cx, states).await?) }),
        Err(error) => fail(error),
    }
}

/// The aggregate that these events make, without a store: for measurements.
pub fn fold<A: Aggregate>(uuid: crate::Uuid, events: Vec<crate::store::StoredEvent>) -> Result<Option<Root<A>>> {
    crate::aggregate::fold_for_nobody(uuid, events)
}

/// Lets a command be answered when this read model shows what it has done.
pub fn consistent<P: Projection>(cx: &mut Context) {
    cx.show_in(P::NAME);
}

/// The end of a function of a projection.
pub async fn project<E: HandlerError>(function: impl Future<Output = Result<(), E>>) -> Result<()> {
    function.await.map_err(HandlerError::into_error)
}

/// A future, boxed.
pub fn boxed<'a>(future: impl Future<Output = Result<()>> + Send + 'a) -> BoxFuture<'a, Result<()>> {
    Box::pin(future)
}

/// What a function of a projection makes of an event that it cannot read.
pub fn not_projected<'a>(error: Error) -> BoxFuture<'a, Result<()>> {
    Box::pin(std::future::ready(Err(error)))
}

/// Proves that a type can be the field of an aggregate.
pub const fn field<T: Field>() {}

/// Proves that a type can be the field of a message.
pub const fn message_field<T: MessageField>() {}

/// Proves that a type can be an aggregate.
pub const fn stored<T: Stored>() {}

/// Runs the user's `main` to its end. An error is one line on standard error.
pub fn main<E: HandlerError>(threads: Option<usize>, main: impl Future<Output = Result<(), E>>) -> ExitCode {
    let result = block_on(threads, async { main.await.map_err(E::into_error) });
    crate::telemetry::flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn block_on(threads: Option<usize>, main: impl Future<Output = Result<()>>) -> Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    let runtime = builder.enable_all().build().map_err(|error| Error::from(error).context("the runtime cannot start"))?;
    let result = runtime.block_on(main);
    // Not dropped, which would wait for ever for a thread that is stuck.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}
