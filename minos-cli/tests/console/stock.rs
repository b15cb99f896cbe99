//! A service that is closed: only who shows a token of its own issuer sees anything.

use minos::prelude::*;

#[aggregate]
pub struct Article {
    pub name: String,
    pub pieces: u32,
}

#[derive(Serialize, Deserialize)]
pub struct Store {
    pub name: String,
    pub pieces: u32,
}

#[command("StoreArticle", POST "/articles")]
async fn store_article(cx: &mut Context, input: Store) -> Result<Uuid> {
    Ok(Article::create(cx, Article { name: input.name, pieces: input.pieces }).await?.uuid())
}

#[query("GetArticle", GET "/articles/{uuid}")]
async fn get_article(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Article>> {
    Article::get(cx, uuid).await
}

/// The shop answers this.
#[query(GET "/orders/{order}")]
async fn parts_of_order(Path(order): Path<Uuid>) -> String {
    order.to_string()
}

#[document]
pub struct Stored {
    pub pieces: u32,
}

#[projection]
impl Stored {
    #[event("ArticleCreated")]
    async fn add(view: &mut View<Self>, event: ArticleCreated) -> Result<()> {
        view.put(event.uuid(), Stored { pieces: event.pieces });
        Ok(())
    }
}
