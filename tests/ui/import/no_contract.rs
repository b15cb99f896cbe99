minos::import_contract!("../../../../tests/ui/import/other.json");

fn main() {}
