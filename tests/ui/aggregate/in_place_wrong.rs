//! Updates that are to set fields one by one, where serde is told otherwise.

use minos::prelude::*;

#[aggregate(in_place, in_place)]
pub struct Account {
    pub owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(rename = "cents")]
    pub balance: i64,
    #[serde(with = "as_text")]
    pub limit: i64,
    #[serde(flatten)]
    pub address: Address,
}

#[aggregate(in_place)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    pub first_name: String,
}

#[derive(Serialize, Deserialize)]
pub struct Address {
    pub street: String,
}

fn main() {}
