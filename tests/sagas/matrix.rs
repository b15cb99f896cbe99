//! The crash matrix of the sagas that are tested with real services here.

minos::crash_matrix!(crate::teller::MoveMoney);
minos::crash_matrix!(crate::teller::GiveQuickly);
minos::crash_matrix!(crate::teller::GiveBoth);
minos::crash_matrix!(crate::teller::MoveNested);
minos::crash_matrix!(crate::bank::MoveInside);
