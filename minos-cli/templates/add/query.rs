//! The query `{{Name}}`.

use minos::prelude::*;

/// What it is asked: by HTTP, the query string.
#[derive(Serialize, Deserialize)]
pub struct {{Name}} {
    pub text: String,
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub struct {{Name}}Answer {
    pub text: String,
    pub at: Timestamp,
}

/// Handles the topic `{{Name}}` and `GET {{path}}` alike. It changes nothing.
#[query("{{Name}}", GET "{{path}}")]
async fn {{module}}(cx: &Context, input: {{Name}}) -> Result<{{Name}}Answer> {
    Ok({{Name}}Answer {
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
        let answer = service.get("{{path}}?text=hello").await?;
        assert_eq!(answer.json::<{{Name}}Answer>()?.text, "hello");
        Ok(())
    }
}
