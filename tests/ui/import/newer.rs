minos::import_contract!("../../../../tests/ui/import/newer.json");

fn main() {}
