//! Documents: typed JSON under a key, kept by projections and asked for by their fields.

mod column;
mod find;
mod index;

pub use column::{Column, Condition, Operand, Ordered, Ordering, Text};
pub use find::{Find, Page, Row};
pub use index::IndexDef;
pub(crate) use index::make as make_indexes;

use crate::{
    context::{Context, store_error},
    error::{Error, Result},
};
use serde::{Serialize, de::DeserializeOwned};
use std::future::Future;

/// A document: plain data of which a [projection](crate::projection) keeps one under each key. Put `#[document]` on a struct to make it one:
///
/// ```ignore
/// #[document]
/// pub struct Balance {
///     pub owner: String,
///     pub cents: i64,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a document",
    label = "not a document",
    note = "put `#[document]` on the definition of `{Self}`"
)]
pub trait Document: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of its collection.
    const COLLECTION: &'static str;

    /// The document of this key.
    ///
    /// # Errors
    /// If the store does not answer, or what is stored cannot be read as this type.
    fn get(cx: &Context, key: impl ToString + Send) -> impl Future<Output = Result<Option<Self>>> + Send {
        let key = key.to_string();
        async move {
            match cx.environment().store.document(Self::COLLECTION, &key).await.map_err(store_error)? {
                Some(document) => read(Self::COLLECTION, &key, &document.body).map(Some),
                None => Ok(None),
            }
        }
    }

    /// The documents for which this holds: `Balance::find(cx, Balance::cents().ge(100))`.
    fn find(cx: &Context, condition: Condition<Self>) -> Find<'_, Self> {
        Find::new(cx, condition)
    }

    /// All of them.
    fn all(cx: &Context) -> Find<'_, Self> {
        Find::new(cx, Condition::always())
    }
}

impl<D: Document> Row for D {
    type Of = D;
    const COLLECTION: &'static str = D::COLLECTION;

    fn read(key: &str, body: &str) -> Result<Self> {
        read(D::COLLECTION, key, body)
    }
}

/// Reads what is stored under a key.
pub(crate) fn read<T: DeserializeOwned>(collection: &str, key: &str, body: &str) -> Result<T> {
    serde_json::from_str(body).map_err(|error| Error::internal(format!("the document `{key}` of `{collection}` cannot be read: {error}")))
}
