//! Whose data the sensitive fields of an aggregate are.

use super::Ref;
use uuid::Uuid;

/// A field that can say whose data the sensitive fields are: `#[subject]`.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` does not say whose data the sensitive fields are",
    label = "no subject",
    note = "`#[subject]` stands on a `Uuid`, a `Ref<…>`, or an `Option` of one"
)]
pub trait Subject {
    /// Whose they are; nothing if it is not said, and they are the aggregate's own.
    fn subject(&self) -> Option<Uuid>;
}

impl Subject for Uuid {
    fn subject(&self) -> Option<Uuid> {
        Some(*self)
    }
}

impl<T> Subject for Ref<T> {
    fn subject(&self) -> Option<Uuid> {
        Some(self.uuid())
    }
}

impl<T: Subject> Subject for Option<T> {
    fn subject(&self) -> Option<Uuid> {
        self.as_ref()?.subject()
    }
}
