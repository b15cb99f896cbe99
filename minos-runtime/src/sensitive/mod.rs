//! Data of persons: values that stand in the clear nowhere but in the memory of a service that may know them.
//!
//! A [`Sensitive`] value writes itself as `null`, unless it is written for the store (`storing`): then as a mark, `{"$sensitive":…}`, which never leaves the
//! process. Before a unit is committed each mark becomes `{"$sealed":"…"}` (`mark`), encrypted with the key of whose data it is (`seal`). What is read is
//! opened into marks again, as far as there are keys. So aggregates, differences and sets work on plain text, and what is written, sent or shown does not
//! have it.

mod mark;
mod seal;
mod storing;
mod value;

#[cfg(any(test, feature = "testing"))]
pub(crate) use mark::bare;
pub(crate) use mark::{
    Known, NotSealed, Place, in_texts, is_marked, is_sealed, masked, names_seal, open, reassigned, seal, subjects_of_marks,
    subjects_of_seals,
};
pub(crate) use seal::Seal;
pub(crate) use storing::storing;
pub use value::Sensitive;
pub(crate) use {mark::SENSITIVE, storing::sampling};
