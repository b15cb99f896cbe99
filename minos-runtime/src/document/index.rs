//! Fields that are often looked for: `#[index]` on a field of a document, or of an aggregate that is queryable.

use super::{Column, Ordered};
use crate::{
    config::RetryPolicy,
    stop::Stop,
    store::{Field, SharedStore},
};
use std::time::Instant;

/// An index that a field asks for; registered by `#[index]`.
#[doc(hidden)]
pub struct IndexDef {
    pub collection: &'static str,
    /// Its name, for people.
    pub name: &'static str,
    pub field: fn() -> Field,
    pub module: &'static str,
}

inventory::collect!(IndexDef);

impl<D, T: Ordered> Column<D, T> {
    /// The field that an index is of.
    #[doc(hidden)]
    pub fn indexed(self) -> Field {
        self.field(T::KIND)
    }
}

/// Makes the indexes that are not there yet, one after the other. The service works meanwhile: without them queries are slow, and right.
pub(crate) async fn make(store: &SharedStore, indexes: Vec<&'static IndexDef>, policy: RetryPolicy, stop: Stop) {
    for IndexDef { collection, name, field, .. } in indexes {
        let (began, mut attempt) = (Instant::now(), 0);
        loop {
            let made = tokio::select! {
                made = store.index(collection, field()) => made,
                () = stop.said() => return,
            };
            let Err(error) = made else {
                tracing::debug!(index = %format_args!("{collection}.{name}"), seconds = began.elapsed().as_secs_f64(), "the index is there");
                break;
            };
            attempt += 1;
            if !error.is_outage() && attempt >= policy.attempts {
                tracing::error!(index = %format_args!("{collection}.{name}"), %error, "the index cannot be made: queries of this field are slow, and it is tried again with the next start");
                break;
            }
            tracing::warn!(index = %format_args!("{collection}.{name}"), %error, "the index is not there yet, and is tried again");
            tokio::select! {
                () = tokio::time::sleep(policy.pause(attempt)) => {}
                () = stop.said() => return,
            }
        }
    }
    stop.said().await;
}
