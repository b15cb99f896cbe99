//! The test kit, as users meet it.

#![allow(unreachable_pub)]

mod drive;
mod given;
mod holds;
mod lock;
mod pier;
mod replay;
mod theatre;
mod whole;
mod wrong;
