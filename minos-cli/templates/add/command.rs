//! The command `{{Name}}`.

use minos::prelude::*;

/// What it is told.
#[derive(Serialize, Deserialize)]
pub struct {{Name}} {
    pub text: String,
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub struct {{Name}}Done {
    pub text: String,
    pub at: Timestamp,
}

/// Handles the topic `{{Name}}` and `POST {{path}}` alike. What it does with aggregates is one commit, when it answers `Ok`.
#[command("{{Name}}", POST "{{path}}")]
async fn {{module}}(cx: &mut Context, input: {{Name}}) -> Result<{{Name}}Done> {
    ensure!(!input.text.is_empty(), "the text is empty");
    Ok({{Name}}Done {
        text: input.text,
        at: cx.now(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use minos::testing::TestService;

    #[tokio::test]
    async fn it_answers() -> Result<()> {
        let service = TestService::whole().start().await?;
        let done = service
            .post(
                "{{path}}",
                {{Name}} {
                    text: "a text".to_owned(),
                },
            )
            .await?;
        assert_eq!(done.json::<{{Name}}Done>()?.text, "a text");
        let refused = service
            .post(
                "{{path}}",
                {{Name}} {
                    text: String::new(),
                },
            )
            .await?;
        assert_eq!(refused.problem().as_deref(), Some("the text is empty"));
        Ok(())
    }
}
