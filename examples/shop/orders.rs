//! Orders, whose entries are entities of their own: what changes in one of many is stored as that change.

use minos::prelude::*;
use std::collections::HashMap;

/// The part of an article that an order is interested in.
#[aggregate_ref]
pub struct Article {
    pub name: String,
    pub cents: u32,
}

#[aggregate]
#[derive(Debug, Clone)]
pub struct Order {
    #[validate(email)]
    pub customer: String,
    #[validate(length(..=100))]
    pub entries: EntitySet<Entry>,
    /// Orders from before there were any have none.
    #[serde(default)]
    pub coupons: ValueSet<String>,
    pub status: Status,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Entry {
    pub article: Ref<Article>,
    pub quantity: u32,
}

#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Open,
    Placed,
}

#[aggregate]
impl Order {
    /// What was ordered, at the prices of that moment.
    #[event("OrderPlaced", version = 2, upcast = in_euros)]
    fn placed(&mut self, lines: Vec<Line>, cents: u64, currency: Currency) {
        self.status = Status::Placed;
    }

    pub fn place(&mut self, lines: Vec<Line>) -> Result<()> {
        ensure!(self.status == Status::Open, "the order is placed already");
        ensure!(!lines.is_empty(), "there is nothing in the order");
        let cents = lines.iter().map(|line| line.cents).sum();
        self.placed(lines, cents, Currency::Eur);
        Ok(())
    }
}

#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    Eur,
}

/// As it was in version 1, when nobody thought of other currencies.
#[derive(Deserialize)]
pub struct PlacedV1 {
    lines: Vec<Line>,
    cents: u64,
}

fn in_euros(old: PlacedV1) -> OrderPlaced {
    OrderPlaced { lines: old.lines, cents: old.cents, currency: Currency::Eur }
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Line {
    pub name: String,
    pub quantity: u32,
    pub cents: u64,
}

#[derive(Deserialize)]
pub struct Begin {
    customer: String,
}

#[command("BeginOrder", POST "/orders")]
async fn begin(cx: &mut Context, input: Begin) -> Result<Uuid> {
    let order = Order { customer: input.customer, entries: EntitySet::default(), coupons: ValueSet::default(), status: Status::Open };
    Ok(Order::create(cx, order).await?.uuid())
}

#[derive(Deserialize)]
pub struct Add {
    pub article: Uuid,
    pub quantity: u32,
}

#[command("AddEntry", POST "/orders/{order}/entries")]
pub async fn add(cx: &mut Context, Path(order): Path<Uuid>, input: Add) -> Result<Uuid> {
    ensure!(input.quantity > 0, "an entry has at least one of its article");
    let mut order = Order::get(cx, order).await?;
    ensure!(order.status == Status::Open, "the order is placed already");
    let entry = order.entries.add(Entry { article: Ref::new(input.article), quantity: input.quantity });
    order.save(cx).await?;
    Ok(entry)
}

#[derive(Deserialize)]
pub struct Change {
    pub quantity: u32,
}

/// Nothing of it removes the entry.
#[command(PUT "/orders/{order}/entries/{entry}")]
pub async fn change(cx: &mut Context, Path((order, entry)): Path<(Uuid, Uuid)>, input: Change) -> Result<()> {
    let mut order = Order::get(cx, order).await?;
    ensure!(order.status == Status::Open, "the order is placed already");
    if input.quantity == 0 {
        order.entries.remove(entry);
    } else {
        order.entries.update(entry, |entry| entry.quantity = input.quantity)?;
    }
    order.save(cx).await
}

/// Each coupon counts once, however often it is handed in.
#[command("AddCoupon", POST "/orders/{order}/coupons")]
pub async fn add_coupon(cx: &mut Context, Path(order): Path<Uuid>, code: String) -> Result<()> {
    let mut order = Order::get(cx, order).await?;
    order.coupons.insert(code);
    order.save(cx).await
}

/// The articles are asked for by one question, however many there are.
async fn lines(cx: &Context, order: &Order) -> Result<Vec<Line>> {
    let articles: HashMap<_, _> = Ref::resolve_all(cx, order.entries.iter().map(|(_, entry)| &entry.article)).await?;
    let line = |entry: &Entry| {
        let uuid = entry.article.uuid();
        let article = articles.get(&uuid).ok_or_else(|| Error::not_found(format!("the article {uuid} is not there any more")))?;
        Ok(Line { name: article.name.clone(), quantity: entry.quantity, cents: u64::from(entry.quantity) * u64::from(article.cents) })
    };
    order.entries.iter().map(|(_, entry)| line(entry)).collect()
}

#[query(GET "/orders/{order}/sum")]
async fn sum(cx: &Context, Path(order): Path<Uuid>) -> Result<u64> {
    let order = Order::get(cx, order).await?;
    Ok(lines(cx, &order).await?.iter().map(|line| line.cents).sum())
}

/// Answered when the sales show it.
#[command("PlaceOrder", POST "/orders/{order}/place", consistency = crate::sales::Sales)]
async fn place(cx: &mut Context, Path(order): Path<Uuid>) -> Result<()> {
    let mut order = Order::get(cx, order).await?;
    let lines = lines(cx, &order).await?;
    order.place(lines)?;
    order.save(cx).await
}

#[query("GetOrder", GET "/orders/{order}")]
async fn order(cx: &Context, Path(order): Path<Uuid>) -> Result<Root<Order>> {
    Order::get(cx, order).await
}

/// One change of the set of entries, of all that can happen to an order.
#[event("OrderUpdated.entries.create")]
async fn entry_added(_cx: &mut Context, event: OrderUpdated) -> Result<()> {
    for (_, entry) in event.created::<Entry>("entries")? {
        println!("order {}: {} of {}", event.uuid(), entry.quantity, entry.article.uuid());
    }
    Ok(())
}
