minos::import_contract!("../../../../tests/contract/shipping.json", ShipParcle, Nothing);

fn main() {}
