//! Handlers that get in each other's way.

use minos::prelude::*;

#[command("Same", POST "/same")]
async fn first() {}

#[query("Same", POST "/same")]
async fn second() {}

#[event("NoSuchThingCreated")]
async fn waits_for_ever(_cx: &mut Context) {}

#[event("OrderUpdated.address.create")]
async fn no_set(_cx: &mut Context) {}

const _: () = {
    #[command("Here")]
    async fn same() {}
};

const _: () = {
    #[command("There")]
    async fn same() {}
};
