//! The service of foobars.

use minos::prelude::*;

#[aggregate]
pub struct FooBar {
    pub number: i32,
    pub something: String,
}

#[derive(Deserialize)]
pub struct CreateFooBar {
    number: i32,
    text: String,
}

#[command("CreateFooBar", POST "/foobars")]
async fn create_foobar(cx: &mut Context, input: CreateFooBar) -> Result<Uuid> {
    ensure!(!input.text.is_empty(), "a foobar needs a text");
    Ok(FooBar::create(cx, FooBar { number: input.number, something: input.text }).await?.uuid())
}

#[derive(Deserialize)]
pub struct DeleteFooBar {
    uuid: Uuid,
}

#[command("DeleteFooBar")]
async fn delete_foobar(cx: &mut Context, input: DeleteFooBar) -> Result<()> {
    FooBar::get(cx, input.uuid).await?.delete(cx).await
}

#[query("GetFooBar", GET "/foobars/{uuid}")]
async fn get_foobar(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<FooBar>> {
    FooBar::get(cx, uuid).await
}
