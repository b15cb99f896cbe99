//! The `minos` command: looks after services of Minos, by the operator's API of each (`admin.addr` in its configuration).
//!
//! A command is a module with its `Command`, a line in [`command`], and nothing else: what it needs of the others is in [`admin`], [`table`] and [`error`].

mod admin;
mod command;
mod contract;
mod dead_letters;
mod error;
mod events;
mod output;
mod projections;
mod saga;
mod table;

pub use command::run;
