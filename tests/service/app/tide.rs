//! Handlers of what happens in another service, which is not in this process.

use minos::prelude::*;

#[aggregate_ref]
pub struct Tide {
    pub height: u32,
}

#[event("TideCreated")]
async fn came(_cx: &mut Context, event: Event<Tide>) -> Result<()> {
    ensure!(event.height > 0, "the sea is dry");
    Ok(())
}

#[event("TideUpdated.height")]
async fn rose(_cx: &mut Context) {}

#[event("Tide.TideTurned")]
async fn turned(_cx: &mut Context) {}
