-- The service to which all this belongs: one row, from its first start on.
CREATE TABLE {s}.minos_service (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text NOT NULL
);
