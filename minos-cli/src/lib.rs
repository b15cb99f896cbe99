//! The `minos` command: makes projects and services, runs them while they are worked on, and looks after those that run, by the operator's API of each
//! (`admin.addr` in its configuration).
//!
//! A command is a module with its `Command`, a line in `command`, and nothing else: what it needs of the others is in `admin`, `project`, `output`, `table` and
//! `error`.

mod add;
mod admin;
mod command;
mod contract;
mod dead_letters;
mod dev;
pub mod discovery;
mod doctor;
mod error;
mod events;
pub mod gateway;
mod new;
mod output;
mod project;
mod projections;
mod saga;
mod table;

pub use command::run;
