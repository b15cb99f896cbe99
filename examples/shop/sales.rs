//! What was sold, for those who ask with SQL.

use crate::orders::OrderPlaced;
use minos::prelude::*;

pub struct Sales;

#[projection]
impl Sales {
    const TABLES: &str = "CREATE TABLE {sales} (name TEXT PRIMARY KEY, quantity BIGINT NOT NULL, cents BIGINT NOT NULL)";

    #[event("Order.OrderPlaced")]
    async fn placed(view: &mut View<Self>, event: Event<OrderPlaced>) -> Result<()> {
        for line in &event.lines {
            view.execute(
                "INSERT INTO {sales} VALUES ($1, $2, $3) ON CONFLICT (name)
                 DO UPDATE SET quantity = {sales}.quantity + excluded.quantity, cents = {sales}.cents + excluded.cents",
                [line.name.clone().into(), line.quantity.into(), line.cents.into()],
            )?;
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
pub struct Sold {
    pub name: String,
    pub quantity: i64,
    pub cents: i64,
}

#[query("GetSales", GET "/sales")]
async fn sales(cx: &Context) -> Result<Vec<Sold>> {
    cx.select("SELECT name, quantity, cents FROM sales ORDER BY cents DESC, name", []).await
}
