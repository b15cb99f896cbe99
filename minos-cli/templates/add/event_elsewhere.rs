//! What is done when `{{Name}}` has happened, which another service tells.

use minos::prelude::*;

{{reference}}
/// Gets the events of each aggregate in order. What it does in the store happens once; what it does outside, through `cx.effect`, at least once, with
/// the same key each time.
#[event("{{Name}}")]
async fn {{module}}(cx: &mut Context, event: Event<{{content}}>) -> Result<()> {
    let told = async |key: Uuid| -> Result<()> {
        println!("{}: {} {key}", event.name(), event.uuid());
        Ok(())
    };
    cx.effect("told", told).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use minos::testing::TestService;
    use serde_json::json;

    /// The service that tells it need not be here.
    #[tokio::test]
    async fn it_is_handled() -> Result<()> {
        let service = TestService::whole().start().await?;
        service
            .happened("{{whole}}", Uuid::now_v7(), json!({{example}}))
            .await?;
        service.settled().await
    }
}
