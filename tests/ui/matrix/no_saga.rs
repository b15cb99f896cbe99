minos::crash_matrix!("AddFoobar");

fn main() {}
