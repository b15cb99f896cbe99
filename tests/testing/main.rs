//! The test kit, as users meet it.

#![allow(unreachable_pub)]

mod drive;
mod holds;
mod wrong;
