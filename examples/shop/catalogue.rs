//! The articles that there are.

use minos::{document::Page, prelude::*};

/// An article: found by its fields, and known to other services.
#[aggregate(queryable, resolvable)]
#[derive(Debug, Clone, PartialEq)]
pub struct Article {
    #[validate(not_empty)]
    pub name: String,
    #[validate(range(1..))]
    pub cents: u32,
    pub tags: Vec<String>,
}

#[command("AddArticle", POST "/articles")]
async fn add(cx: &mut Context, input: Article) -> Result<Uuid> {
    Ok(Article::create(cx, input).await?.uuid())
}

#[derive(Deserialize)]
pub struct Price {
    cents: u32,
}

#[command(PUT "/articles/{uuid}/price")]
async fn price(cx: &mut Context, Path(uuid): Path<Uuid>, input: Price) -> Result<()> {
    let mut article = Article::get(cx, uuid).await?;
    article.cents = input.cents;
    article.save(cx).await
}

#[derive(Deserialize)]
pub struct Search {
    tag: Option<String>,
    up_to: Option<u32>,
    after: Option<String>,
}

#[query(GET "/articles")]
async fn search(cx: &Context, Query(search): Query<Search>) -> Result<Page<Seen<Article>>> {
    let mut found = Article::all(cx).order_by(Article::name());
    if let Some(tag) = search.tag {
        found = found.and(Article::tags().has(tag));
    }
    if let Some(cents) = search.up_to {
        found = found.and(Article::cents().le(cents));
    }
    found.limit(20).page(search.after.as_deref()).await
}
