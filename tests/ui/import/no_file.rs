minos::import_contract!("contracts/shipping.json");

fn main() {}
