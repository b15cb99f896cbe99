//! The registry in this process: against the suite, against bad input, and with instances that die, hang and come back.

mod input;
mod kit;
mod lives;
mod register;
mod replicas;
