//! The articles that there are, and what they cost.

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

/// The price tag of an article.
#[document]
pub struct PriceTag {
    pub name: String,
    pub cents: u32,
    /// What it cost before.
    pub before: Option<u32>,
}

/// It changes in the commit of the event, so no customer sees one that is not right any more.
#[projection(inline)]
impl PriceTag {
    #[event("ArticleCreated")]
    async fn added(view: &mut View<Self>, event: ArticleCreated) -> Result<()> {
        view.put(event.uuid(), PriceTag { name: event.name.clone(), cents: event.cents, before: None });
        Ok(())
    }

    #[event("ArticleUpdated.cents")]
    async fn changed(view: &mut View<Self>, event: ArticleUpdated) -> Result<()> {
        let Some(cents) = event.get("cents")? else { return Ok(()) };
        view.update(event.uuid(), |tag| tag.before = Some(std::mem::replace(&mut tag.cents, cents))).await
    }
}

#[query(GET "/articles/{uuid}/price")]
async fn price_tag(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Option<PriceTag>> {
    PriceTag::get(cx, uuid).await
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
