// From where the test stands.
minos::import_contract!("../../../../tests/ui/import/broken.json");

fn main() {}
