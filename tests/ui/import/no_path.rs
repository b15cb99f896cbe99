minos::import_contract!(shipping);

fn main() {}
