//! Goods that are found by their fields, and the orders of another service that refer to them.

/// The owner.
pub mod store {
    use minos::prelude::*;

    #[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
    pub enum Kind {
        Book,
        Game,
    }

    #[aggregate(queryable, resolvable)]
    #[derive(Debug)]
    pub struct Good {
        #[index]
        pub name: String,
        #[index]
        pub cents: u32,
        pub kind: Kind,
        pub tags: Vec<String>,
        pub maker: Option<String>,
    }

    #[command(POST "/goods")]
    async fn add(cx: &mut Context, input: Good) -> Result<Uuid> {
        Ok(Good::create(cx, input).await?.uuid())
    }

    #[derive(Deserialize)]
    pub struct Price {
        cents: u32,
    }

    #[command(PUT "/goods/{uuid}/cents")]
    async fn price(cx: &mut Context, Path(uuid): Path<Uuid>, input: Price) -> Result<()> {
        let mut good = Good::get(cx, uuid).await?;
        good.cents = input.cents + 1;
        good.save(cx).await?;
        good.cents = input.cents;
        good.save(cx).await
    }

    #[command(DELETE "/goods/{uuid}")]
    async fn remove(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
        Good::get(cx, uuid).await?.delete(cx).await
    }

    #[query(GET "/goods/cheap/{cents}")]
    async fn cheap(cx: &Context, Path(cents): Path<u32>) -> Result<Vec<Seen<Good>>> {
        Good::find(cx, Good::cents().le(cents).and(Good::kind().eq(Kind::Book))).order_by(Good::cents().descending()).list().await
    }

    #[query(GET "/goods/tagged/{tag}")]
    async fn tagged(cx: &Context, Path(tag): Path<String>) -> Result<(u64, Vec<String>)> {
        let found = Good::find(cx, Good::tags().has(tag.as_str()).and(Good::maker().is_none().or(Good::maker().starts_with("A"))));
        let names = found.order_by(Good::name()).list().await?.into_iter().map(|good| good.into_inner().name).collect();
        Ok((Good::find(cx, Good::tags().has(tag)).count().await?, names))
    }
}

/// Who refers to them.
pub mod orders {
    use minos::prelude::*;

    #[aggregate_ref]
    pub struct Good {
        pub name: String,
        pub cents: u32,
    }

    #[aggregate]
    pub struct Order {
        pub goods: Vec<Ref<Good>>,
    }

    #[command(POST "/orders")]
    async fn order(cx: &mut Context, goods: Vec<Uuid>) -> Result<Uuid> {
        Ok(Order::create(cx, Order { goods: goods.into_iter().map(Ref::new).collect() }).await?.uuid())
    }

    #[query(GET "/orders/{uuid}/sum")]
    async fn sum(cx: &Context, Path(uuid): Path<Uuid>) -> Result<u32> {
        let order = Order::get(cx, uuid).await?;
        let goods = Ref::resolve_all(cx, &order.goods).await?;
        Ok(goods.values().map(|good| good.cents).sum())
    }

    #[query(GET "/orders/{uuid}/first")]
    async fn first(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Resolved<Good>> {
        let order = Order::get(cx, uuid).await?;
        order.goods[0].resolve(cx).await
    }
}
