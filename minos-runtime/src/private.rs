//! The one door for expansions. Not public API: anything here may change in any release.
//!
//! The signatures are quoted in compiler messages, so they are short and stable. What is generic here is compiled once for each handler or
//! type of the user, so it calls what is not generic as soon as it can.

#[cfg(any(test, feature = "testing"))]
pub use crate::testing;
pub use crate::{
    aggregate::{
        Aggregate, AggregateDef, AggregateRef, Created, Deleted, DomainEvent, EventDef, Evolution, EvolutionDef, Field, Recorded, Root,
        Stored, Updated, old_content, upcast, upcast_fields,
    },
    context::Context,
    error::{Error, Problem, ProblemDef, Result},
    handler::{Answer, FromRequest, HandlerDef, HandlerError, Kind, Request, Response},
    message::{Message, MessageField, Replies},
};
pub use futures_util::future::BoxFuture;
pub use inventory;
pub use serde;
pub use std::{
    format,
    process::ExitCode,
    string::{String, ToString},
};

use std::{future::Future, time::Duration};

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
    Box::pin(async move { answer(future.await) })
}

/// The answer of a handler whose parameters cannot be read.
pub fn fail<'a>(error: Error) -> BoxFuture<'a, Result<Response>> {
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
