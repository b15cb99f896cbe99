//! What is done when `{{Name}}` has happened.

use minos::prelude::*;

/// Gets the events of each aggregate in order. What it does in the store happens once; what it does outside, through `cx.effect`, at least once, with
/// the same key each time.
#[event("{{Name}}")]
async fn {{module}}(cx: &mut Context, event: Event<serde_json::Value>) -> Result<()> {
    let told = async |key: Uuid| -> Result<()> {
        println!("{}: {} {key}", event.name(), event.uuid());
        Ok(())
    };
    cx.effect("told", told).await?;
    Ok(())
}
