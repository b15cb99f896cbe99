//! Small services that the tests run, each a module of handlers.

pub mod account;
pub mod desk;
pub mod parcels;
pub mod rich;
pub mod talk;
pub mod tide;
pub mod trouble;
pub mod twice;
