-- Steps that are done here, and keep something until it is known how their saga has ended: `at` says when somebody has to ask.
CREATE INDEX inbox_open ON {s}.inbox (at, subscriber, key) WHERE version = 9223372036854775806;
