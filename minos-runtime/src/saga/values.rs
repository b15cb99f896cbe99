//! What a saga knows: its input, and what its steps have yielded.

use super::View;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The values of one execution: a JSON object, as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Values(Map<String, Value>);

impl Values {
    /// The fields of the input.
    ///
    /// # Errors
    /// If it is not written as a JSON object.
    pub fn of(input: &impl Serialize) -> Result<Self> {
        match serde_json::to_value(input)? {
            Value::Object(fields) => Ok(Values(fields)),
            _ => Err(Error::internal("the input of a saga is no object")),
        }
    }

    /// Adds what a step has yielded.
    pub fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them.
    pub(crate) fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// What a step sees: exactly the values that are known by then.
    ///
    /// # Errors
    /// If one is missing or of another type, as when the saga was changed.
    pub fn view<V: View>(&self) -> Result<V> {
        V::read(self)
    }
}
