-- What caused an execution may be a place in a trace. Rows that were there before have none; neither have those of nodes that do not know it yet.
ALTER TABLE {s}.sagas ADD COLUMN trace text;
CREATE INDEX sagas_by_age ON {s}.sagas (started_at, id) WHERE NOT ended;
