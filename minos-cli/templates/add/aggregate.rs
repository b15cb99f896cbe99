//! The aggregate `{{Name}}`, and what can be done with it.

use minos::prelude::*;

/// An event-sourced aggregate: every change to it is stored as an event.
#[aggregate]
pub struct {{Name}} {
    pub name: String,
}

#[derive(Deserialize)]
pub struct Create{{Name}} {
    name: String,
}

#[derive(Deserialize)]
pub struct Rename{{Name}} {
    name: String,
}

/// Handles the topic `Create{{Name}}` and `POST {{path}}` alike.
#[command("Create{{Name}}", POST "{{path}}")]
async fn create_{{module}}(cx: &mut Context, input: Create{{Name}}) -> Result<Uuid> {
    ensure!(!input.name.is_empty(), "the name is empty");
    let created = {{Name}}::create(cx, {{Name}} { name: input.name }).await?;
    Ok(created.uuid())
}

/// Fields are changed in place; `save` stores the difference as a `{{Name}}Updated` event.
#[command("Rename{{Name}}", PUT "{{path}}/{uuid}/name")]
async fn rename_{{module}}(cx: &mut Context, Path(uuid): Path<Uuid>, input: Rename{{Name}}) -> Result<()> {
    ensure!(!input.name.is_empty(), "the name is empty");
    let mut found = {{Name}}::get(cx, uuid).await?;
    found.name = input.name;
    found.save(cx).await
}

/// Answers the fields, with the uuid, the version and the times.
#[query("Get{{Name}}", GET "{{path}}/{uuid}")]
async fn get_{{module}}(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<{{Name}}>> {
    {{Name}}::get(cx, uuid).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use minos::testing::{Changed, TestService, given};
    use serde_json::{Value, json};

    #[test]
    fn a_new_name_is_stored_as_a_change() {
        let rename = async |cx: &mut Context, uuid: Uuid, name: &str| {
            rename_{{module}}(
                cx,
                Path(uuid),
                Rename{{Name}} {
                    name: name.to_owned(),
                },
            )
            .await
        };
        let first = || {
            given::<{{Name}}>().created({{Name}} {
                name: "old".to_owned(),
            })
        };
        first()
            .when(async |cx, uuid| rename(cx, uuid, "new").await)
            .then(Changed(json!({ "name": "new" })));
        first()
            .when(async |cx, uuid| rename(cx, uuid, "").await)
            .rejected("the name is empty");
    }

    #[tokio::test]
    async fn what_is_created_can_be_read() -> Result<()> {
        let service = TestService::whole().start().await?;
        let created = service.post("{{path}}", json!({ "name": "a name" })).await?;
        let uuid: Uuid = created.json()?;
        let read: Value = service.get(format!("{{path}}/{uuid}")).await?.json()?;
        assert_eq!(read["name"], "a name");
        let refused = service.post("{{path}}", json!({ "name": "" })).await?;
        assert_eq!(refused.problem().as_deref(), Some("the name is empty"));
        Ok(())
    }
}
