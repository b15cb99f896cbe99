//! What is done with a request before an instance is asked, and with its answer.

mod client;
pub(super) mod cors;
pub(super) mod headers;
mod ids;
pub(super) mod path;
pub(super) mod problem;
pub(super) mod rate;
pub(super) mod tokens;
pub(super) mod verify;

pub(super) use client::{Peer, bucket};
pub(super) use ids::{CORRELATION, Ids};
