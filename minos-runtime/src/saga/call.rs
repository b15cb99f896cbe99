//! How the functions that the user wrote are called with what is stored. `saga!` writes these calls.

use super::{
    Outgoing, Values, View,
    view::{Slot, slot},
};
use crate::{
    context::Context,
    error::{Error, Result},
    message::{Message, Replies},
};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::future::Future;

/// The place of what a step yields that yields nothing.
pub static NOTHING: Slot<()> = slot("()");

/// The message of a step that yields its answer.
pub fn request<V: View, M: Replies<T>, T>(values: &Values, message: fn(&V) -> M) -> Result<Outgoing> {
    outgoing(&message(&values.view()?))
}

/// The message of a step that yields nothing, or one that undoes a step.
pub fn message<V: View, M: Message>(values: &Values, message: fn(&V) -> M) -> Result<Outgoing> {
    outgoing(&message(&values.view()?))
}

fn outgoing<M: Message>(message: &M) -> Result<Outgoing> {
    Ok(Outgoing { name: M::NAME, key: message.key(), content: serde_json::to_vec(message)? })
}

/// The answer to a step that yields nothing.
pub fn unread(_answer: &[u8]) -> Result<Value> {
    Ok(Value::Null)
}

/// What `on_success` says.
pub fn accept<V: View>(values: &Values, on_success: fn(&V) -> Result<()>) -> Result<()> {
    on_success(&values.view()?)
}

/// What `on_error` makes of an error. Of values that cannot be read it hears nothing: the error that there is says more.
pub fn recover<V: View, T, R: Recovery<T>>(values: &Values, error: Error, slot: &Slot<T>, on_error: fn(&V, Error) -> R) -> Result<Value> {
    match values.view() {
        Ok(view) => slot.write(&on_error(&view, error).recover()?),
        Err(_) => Err(error),
    }
}

/// What the condition of a `when` says.
pub fn decide<V: View>(values: &Values, condition: fn(&V) -> bool) -> Result<bool> {
    Ok(condition(&values.view()?))
}

/// Work in this service.
pub type TypedWork<V, T> = for<'a> fn(&'a mut Context, &'a V) -> BoxFuture<'a, Result<T>>;

/// Does the work of a local step.
pub fn local<'a, V, T>(
    cx: &'a mut Context,
    values: &'a Values,
    slot: &'static Slot<T>,
    work: TypedWork<V, T>,
) -> BoxFuture<'a, Result<Value>>
where
    V: View + Send + Sync + 'a,
    T: Send + 'static,
{
    Box::pin(async move {
        let view = values.view::<V>()?;
        let value = work(cx, &view).await?;
        slot.write(&value)
    })
}

/// The user's own future, so that the compiler speaks of that one when it is not `Send`.
pub fn future<'a, T>(future: impl Future<Output = Result<T>> + Send + 'a) -> BoxFuture<'a, Result<T>> {
    Box::pin(future)
}

/// What `on_error` may give.
#[diagnostic::on_unimplemented(
    message = "`on_error` cannot give `{Self}`",
    label = "neither an `Error` nor a `Result<{T}>`",
    note = "give the `Error` with which the saga fails, or a `Result<{T}>`, whose `Ok` stands in place of the answer"
)]
pub trait Recovery<T> {
    /// A value in place of the answer, or an error.
    fn recover(self) -> Result<T>;
}

impl<T> Recovery<T> for Error {
    fn recover(self) -> Result<T> {
        Err(self)
    }
}

impl<T> Recovery<T> for Result<T> {
    fn recover(self) -> Result<T> {
        self
    }
}
