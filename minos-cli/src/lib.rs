//! The `minos` command: looks after services of Minos, by the operator's API of each (`admin.addr` in its configuration).
//!
//! A command is a module with its `Command`, a line in [`command`], and nothing else: what it needs of the others is in [`admin`], [`table`] and [`error`].

mod add;
mod admin;
mod command;
mod contract;
mod dead_letters;
mod dev;
mod doctor;
mod error;
mod events;
mod new;
mod output;
mod project;
mod projections;
mod saga;
mod table;

pub use command::run;
