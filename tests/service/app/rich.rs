//! Orders with all that an aggregate can hold: sets, value objects, enums.

use crate::setup::Bug;
use minos::prelude::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub product: String,
    pub quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum State {
    Open,
    Paid { by: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    pub street: String,
    pub city: String,
}

#[aggregate]
pub struct Order {
    pub state: State,
    pub address: Address,
    #[serde(rename = "lines", default)]
    pub entries: EntitySet<Entry>,
    pub tags: Option<ValueSet<String>>,
}

#[command(POST "/orders")]
async fn place(cx: &mut Context) -> Result<Uuid> {
    let address = Address { street: "Main Street 1".into(), city: "Bologna".into() };
    let order = Order { state: State::Open, address, entries: EntitySet::new(), tags: Some(ValueSet::new()) };
    Ok(Order::create(cx, order).await?.uuid())
}

#[command(POST "/orders/{order}/lines")]
async fn add(cx: &mut Context, Path(order): Path<Uuid>, input: Entry) -> Result<Uuid> {
    let mut order = Order::get(cx, order).await?;
    let uuid = order.entries.add(input);
    order.save(cx).await?;
    Ok(uuid)
}

#[derive(Deserialize)]
pub struct Change {
    quantity: u32,
}

#[command(PUT "/orders/{order}/lines/{entry}")]
async fn change(cx: &mut Context, Path((order, entry)): Path<(Uuid, Uuid)>, input: Change) -> Result<()> {
    let mut order = Order::get(cx, order).await?;
    order.entries.update(entry, |entry| entry.quantity = input.quantity)?;
    order.save(cx).await
}

#[command(DELETE "/orders/{order}/lines/{entry}")]
async fn take(cx: &mut Context, Path((order, entry)): Path<(Uuid, Uuid)>) -> Result<()> {
    let mut order = Order::get(cx, order).await?;
    order.entries.remove(entry);
    order.save(cx).await
}

#[command(POST "/orders/{order}/payment")]
async fn pay(cx: &mut Context, Path(order): Path<Uuid>) -> Result<()> {
    let mut order = Order::get(cx, order).await?;
    order.state = State::Paid { by: "ada".into() };
    order.address.city = "Modena".into();
    order.tags.get_or_insert_default().insert("paid".into());
    order.save(cx).await
}

#[query(GET "/orders/{order}")]
async fn order(cx: &Context, Path(order): Path<Uuid>) -> Result<Root<Order>> {
    Order::get(cx, order).await
}

fn tell(cx: &Context, what: String) -> Result<()> {
    cx.resource::<Bug>()?.seen.lock().map_err(|_| Error::internal("poisoned"))?.push(what);
    Ok(())
}

#[event("OrderUpdated.lines.create")]
async fn added(cx: &mut Context, event: OrderUpdated) -> Result<()> {
    for (_, entry) in event.created::<Entry>("lines")? {
        tell(cx, format!("added {} {}", entry.quantity, entry.product))?;
    }
    Ok(())
}

#[event("OrderUpdated.lines.update")]
async fn changed(cx: &mut Context, event: OrderUpdated) -> Result<()> {
    for entry in event.updated("lines")? {
        ensure!(!entry.changed("product"), "only what changed is told");
        tell(cx, format!("now {:?}", entry.get::<u32>("quantity")?))?;
    }
    Ok(())
}

#[event("OrderUpdated.lines.delete")]
async fn taken(cx: &mut Context, event: OrderUpdated) -> Result<()> {
    tell(cx, format!("without {}", event.deleted("lines")?.len()))
}

#[event("OrderUpdated.lines")]
async fn touched(cx: &mut Context, event: OrderUpdated) -> Result<()> {
    ensure!(event.get::<EntitySet<Entry>>("lines").is_err(), "the whole is not told");
    ensure!(event.created::<Entry>("state").is_err(), "this is no set");
    tell(cx, format!("{}", event.version()))
}

#[event("OrderUpdated.tags.create")]
async fn tagged(cx: &mut Context, event: OrderUpdated) -> Result<()> {
    tell(cx, format!("tagged {:?} in {:?}", event.inserted::<String>("tags")?, event.get::<Address>("address")?.map(|to| to.city)))
}

/// Which way something goes to a customer.
#[derive(Serialize, Deserialize, minos::Validate)]
pub struct Channel {
    #[validate(one_of("mail", "phone"))]
    pub kind: String,
    #[validate(range(1..=3))]
    pub attempts: u8,
}

fn not_blank(name: &str) -> Result<(), &'static str> {
    if name.trim().is_empty() { Err("is blank") } else { Ok(()) }
}

fn reachable(customer: &Customer) -> Result<()> {
    ensure!(customer.email.is_some() || !customer.channels.is_empty(), "a customer can be reached somehow");
    Ok(())
}

#[aggregate]
#[validate(with = reachable)]
pub struct Customer {
    #[validate(with = not_blank, length(..=20))]
    pub name: String,
    #[validate(email)]
    #[serde(rename = "mail")]
    pub email: Option<String>,
    #[validate(nested, length(..3))]
    pub channels: EntitySet<Channel>,
}

#[aggregate]
impl Customer {
    #[event("Renamed")]
    fn renamed(&mut self, name: String) {
        self.name = name;
    }
}

#[command(POST "/customers")]
async fn register(cx: &mut Context, input: Customer) -> Result<Uuid> {
    Ok(Customer::create(cx, input).await?.uuid())
}

#[derive(Deserialize, minos::Validate)]
pub struct Rename {
    #[validate(not_empty)]
    name: String,
}

#[command(PUT "/customers/{uuid}/name")]
async fn rename(cx: &mut Context, Path(uuid): Path<Uuid>, input: Rename) -> Result<()> {
    input.check()?;
    let mut customer = Customer::get(cx, uuid).await?;
    customer.renamed(input.name);
    customer.save(cx).await
}

/// Saves what is wrong, and then what is right.
#[command(POST "/customers/{uuid}/second-thoughts")]
async fn think_twice(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<Root<Customer>> {
    let mut customer = Customer::get(cx, uuid).await?;
    customer.name = " ".into();
    ensure!(customer.save(cx).await.is_err(), "a rule does not hold");
    customer.name = "Grace".into();
    customer.save(cx).await?;
    Ok(customer)
}
