//! Who asks, and what they may: tokens, users, and what handlers demand of them. Knows nothing of HTTP.
//!
//! A [`Verifier`] makes a [`User`] of a token. What is known of the user goes as an [`Identity`] with all that follows from the request: with messages, events and
//! sagas. What a handler demands is its [`Access`].

mod access;
#[cfg(feature = "auth")]
mod claims;
mod error;
#[cfg(feature = "auth")]
mod fetch;
mod identity;
#[cfg(feature = "auth")]
mod jwk;
#[cfg(feature = "auth")]
mod key;
#[cfg(feature = "auth")]
mod keys;
#[cfg(all(test, feature = "auth"))]
mod tests;
#[cfg(feature = "auth")]
mod token;
mod user;
#[cfg(feature = "auth")]
mod verifier;

pub use access::{Access, Denied};
pub use error::AuthError;
pub use identity::Identity;
pub use user::User;
#[cfg(feature = "auth")]
pub use verifier::Verifier;
