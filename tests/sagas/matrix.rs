//! The crash matrix of sagas that are right, and of sagas that are wrong in ways that the compiler does not see.

minos::crash_matrix!(crate::foo::AddFoobar);
minos::crash_matrix!(crate::teller::MoveMoney);
minos::crash_matrix!(crate::teller::GiveQuickly);
