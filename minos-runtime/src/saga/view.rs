//! What a step sees: some of the values of its saga, each as its type.

use super::Values;
use crate::error::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What is known at some point of a saga. `saga!` writes one for each step; anything that serde can read is one, too.
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be read from the values of a saga", label = "no view, and not `Deserialize`")]
pub trait View: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// If a value is missing, or of another type.
    fn read(values: &Values) -> Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<V: DeserializeOwned> View for V {
    fn read(values: &Values) -> Result<Self> {
        V::deserialize(values.fields()).map_err(|error| Error::from(error).context("what the saga has stored is not what its step expects"))
    }
}

/// A value that a saga can keep: a field of its input, or what a step yields.
#[diagnostic::on_unimplemented(
    message = "a saga cannot keep a value of type `{Self}`",
    label = "needs `Serialize + Deserialize + Send + Sync + 'static`",
    note = "add `#[derive(Serialize, Deserialize)]` to `{Self}`: what a saga knows is stored",
    note = "a type of another crate may have a `serde` feature to switch on"
)]
pub trait SagaValue: Serialize + DeserializeOwned + Send + Sync + 'static {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> SagaValue for T {}

/// The place of a value in a saga: its name, and how it is written and read.
#[doc(hidden)]
pub struct Slot<T> {
    name: &'static str,
    write: fn(&T) -> Result<Value>,
    read: fn(&Value) -> Result<T>,
    sample: fn() -> Result<Value>,
}

/// The place of this name.
#[doc(hidden)]
pub const fn slot<T: SagaValue>(name: &'static str) -> Slot<T> {
    #[cfg(any(test, feature = "testing"))]
    let sample: fn() -> Result<Value> = || write(&crate::sample::sample::<T>().map_err(|error| Error::internal(error.to_string()))?);
    #[cfg(not(any(test, feature = "testing")))]
    let sample: fn() -> Result<Value> = no_sample;
    Slot { name, write, read: |value| Ok(T::deserialize(value)?), sample }
}

/// What makes samples is compiled for tests only.
#[cfg(not(any(test, feature = "testing")))]
fn no_sample() -> Result<Value> {
    Err(Error::internal("samples are made with the feature `testing` only"))
}

/// A value as it is stored. What could not be read again is refused here, and not when a later step needs it.
fn write<T: SagaValue>(value: &T) -> Result<Value> {
    let stored = serde_json::to_value(value)?;
    T::deserialize(&stored).map_err(|error| {
        Error::internal(format!("what serde writes of `{}` it cannot read again", std::any::type_name::<T>())).caused_by(error)
    })?;
    Ok(stored)
}

impl<T> Slot<T> {
    /// The value.
    ///
    /// # Errors
    /// If it is not known yet, as when the step that yields it has not been answered, or of another type.
    pub fn read(&self, values: &Values) -> Result<T> {
        let value = values.get(self.name).ok_or_else(|| unknown(self.name))?;
        (self.read)(value).map_err(|error| error.context(format!("what the saga has stored as `{}` is of another type", self.name)))
    }

    /// The value as it is stored.
    pub(super) fn write(&self, value: &T) -> Result<Value> {
        (self.write)(value)
    }

    /// What makes a sample of it.
    pub const fn sample(&self) -> fn() -> Result<Value> {
        self.sample
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// If it is no JSON, or of another type than the message says.
    pub fn answer(&self, answer: &[u8]) -> Result<Value> {
        let value = serde_json::from_slice(answer).map_err(Error::from);
        let value: Result<T> = value.and_then(|value| (self.read)(&value));
        self.write(
            &value
                .map_err(|error| Error::internal(format!("the answer that is `{}` cannot be read", self.name)).caused_by(error.chain()))?,
        )
    }
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the saga does not know `{name}`: the step that yields it has not been answered"))
}
