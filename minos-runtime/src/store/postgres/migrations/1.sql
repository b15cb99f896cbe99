-- What is released is never changed: a new migration goes into a file of its own. {s} is the schema, {space} a number made of its name.

CREATE SEQUENCE {s}.positions AS bigint CACHE 1;

CREATE TABLE {s}.events (
    position    bigint PRIMARY KEY,
    aggregate   text NOT NULL,
    uuid        uuid NOT NULL,
    version     bigint NOT NULL,
    name        text NOT NULL,
    data        json NOT NULL,
    at          timestamptz NOT NULL,
    correlation uuid NOT NULL,
    causation   uuid NOT NULL,
    "user"      text,
    UNIQUE (uuid, aggregate, version)
);

-- Numbered from the same sequence as the events.
CREATE TABLE {s}.outbox (
    id      bigint PRIMARY KEY,
    message uuid NOT NULL,
    topic   text NOT NULL,
    key     text,
    headers text NOT NULL,
    content text NOT NULL
);

CREATE TABLE {s}.inbox (
    subscriber text NOT NULL,
    key        text NOT NULL,
    version    bigint NOT NULL,
    answer     text,
    at         timestamptz NOT NULL,
    PRIMARY KEY (subscriber, key)
);
-- The answers to steps of sagas, which have a version, are never forgotten.
CREATE INDEX inbox_answers ON {s}.inbox (at) WHERE answer IS NOT NULL AND version = 0;

CREATE TABLE {s}.checkpoints (
    name     text PRIMARY KEY,
    position bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE {s}.dead_letters (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    subscriber text NOT NULL,
    key        text NOT NULL,
    topic      text NOT NULL,
    headers    text NOT NULL,
    content    bytea NOT NULL,
    cause      text NOT NULL,
    attempts   int NOT NULL
);
CREATE INDEX dead_letters_of_key ON {s}.dead_letters (subscriber, key);

-- Executions of sagas. The columns come as JSON objects, by name.
CREATE TABLE {s}.sagas (
    id          uuid PRIMARY KEY,
    saga        text NOT NULL,
    key         text,
    definition  text NOT NULL,
    status      text NOT NULL,
    ended       boolean NOT NULL,
    wake        timestamptz,
    version     bigint NOT NULL,
    state       text NOT NULL,
    correlation uuid NOT NULL,
    causation   uuid NOT NULL,
    "user"      text,
    started_at  timestamptz NOT NULL,
    changed_at  timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX sagas_of_key ON {s}.sagas (saga, key) WHERE key IS NOT NULL;
CREATE INDEX sagas_to_wake ON {s}.sagas (wake) WHERE wake IS NOT NULL;
CREATE INDEX sagas_live ON {s}.sagas (saga, definition) WHERE NOT ended;
CREATE INDEX sagas_by_name ON {s}.sagas (saga, id);
CREATE INDEX sagas_by_status ON {s}.sagas (status, id);
CREATE INDEX sagas_ended ON {s}.sagas (changed_at) WHERE ended;

CREATE TABLE {s}.leases (
    name  text PRIMARY KEY,
    owner uuid,
    epoch bigint NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 50);

-- What became of the last batches of each writer: for who lost the connection before the answer came.
CREATE TABLE {s}.batches (
    writer    uuid NOT NULL,
    batch     bigint NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    positions bigint[] NOT NULL,
    drawn     bigint NOT NULL,
    refused   int[] NOT NULL,
    reasons   text[] NOT NULL,
    items     int[] NOT NULL,
    actual    bigint[] NOT NULL,
    PRIMARY KEY (writer, batch)
);

-- Why a unit is refused: for its row of this number, counted over all rows of their kind in the batch.
CREATE TYPE {s}.refusal AS (unit int, reason text, item int, actual bigint);

-- Commits a batch of units: numbered from 1 in the first array of each part, whose arrays are null if there are no rows of its kind. Each statement
-- sees what was committed before it, so what is checked behind the locks stays true until the end of the transaction. Locks come sorted, so that no
-- two batches wait for each other. Checks and inserts of kinds without rows are left out: they would cost an idle service as much as the others.
CREATE FUNCTION {s}.append_v1(
    of_writer uuid, of_batch bigint, units int, locks bigint[],
    e_unit int[], e_aggregate text[], e_uuid uuid[], e_version bigint[], e_name text[], e_data text[], e_at timestamptz[],
    e_correlation uuid[], e_causation uuid[], e_user text[],
    a_unit int[], a_aggregate text[], a_uuid uuid[], a_expected bigint[],
    m_unit int[], m_id uuid[], m_topic text[], m_key text[], m_headers text[], m_content text[],
    k_unit int[], k_subscriber text[], k_key text[], k_version bigint[], k_becomes bigint[], k_answer text[], k_lane text[], k_at timestamptz[],
    f_unit int[], f_name text[], f_epoch bigint[],
    d_unit int[], d_at timestamptz[], d_subscriber text[], d_key text[], d_topic text[], d_headers text[], d_content bytea[], d_cause text[],
    d_attempts int[],
    r_unit int[], r_id bigint[],
    c_unit int[], c_name text[], c_position bigint[],
    s_unit int[], s_id bigint[],
    g_unit int[], g_id uuid[], g_expected bigint[], g_row json[],
    OUT positions bigint[], OUT drawn bigint, OUT refused int[], OUT reasons text[], OUT items int[], OUT actual bigint[]
) LANGUAGE plpgsql
-- Only the index is right at any size of a table, and plans are kept.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    ok boolean[] := array_fill(true, ARRAY[units]);
    refusals {s}.refusal[] := '{}';
    refusal {s}.refusal;
    highest bigint;
    changed bigint;
BEGIN
    positions := '{}'; drawn := 0; refused := '{}'; reasons := '{}'; items := '{}'; actual := '{}';
    PERFORM pg_advisory_xact_lock(key) FROM unnest(locks) AS key;

    IF cardinality(f_unit) > 0 THEN
        refusals := refusals || ARRAY(SELECT ROW (f.unit, 'fenced', f.n, 0)::{s}.refusal
            FROM unnest(f_unit, f_name, f_epoch) WITH ORDINALITY AS f(unit, name, epoch, n)
            WHERE NOT EXISTS (SELECT FROM {s}.leases l WHERE l.name = f.name AND l.epoch = f.epoch AND l.owner IS NOT NULL)
            ORDER BY f.n);
    END IF;
    IF cardinality(k_unit) > 0 THEN
        refusals := refusals || ARRAY(SELECT ROW (k.unit, 'duplicate', k.n, 0)::{s}.refusal
            FROM unnest(k_unit, k_subscriber, k_key, k_version) WITH ORDINALITY AS k(unit, subscriber, key, version, n)
            WHERE EXISTS (SELECT FROM {s}.inbox i
                WHERE i.subscriber = k.subscriber AND i.key = k.key AND (k.version IS NULL OR i.version >= k.version))
            ORDER BY k.n);
        refusals := refusals || ARRAY(SELECT ROW (k.unit, 'parked', k.n, 0)::{s}.refusal
            FROM unnest(k_unit, k_subscriber, k_lane) WITH ORDINALITY AS k(unit, subscriber, lane, n)
            WHERE k.lane IS NOT NULL AND EXISTS (SELECT FROM {s}.dead_letters d WHERE d.subscriber = k.subscriber AND d.key = k.lane)
            ORDER BY k.n);
    END IF;
    IF cardinality(d_unit) > 0 THEN
        refusals := refusals || ARRAY(SELECT ROW (d.unit, 'not parked', d.n, 0)::{s}.refusal
            FROM unnest(d_unit, d_subscriber, d_key, d_attempts) WITH ORDINALITY AS d(unit, subscriber, key, attempts, n)
            WHERE d.attempts = 0 AND NOT EXISTS (SELECT FROM {s}.dead_letters l WHERE l.subscriber = d.subscriber AND l.key = d.key)
            ORDER BY d.n);
    END IF;
    IF cardinality(r_unit) > 0 THEN
        refusals := refusals || ARRAY(SELECT ROW (r.unit, 'resolved', r.n, 0)::{s}.refusal
            FROM unnest(r_unit, r_id) WITH ORDINALITY AS r(unit, id, n)
            WHERE NOT EXISTS (SELECT FROM {s}.dead_letters d WHERE d.id = r.id)
            ORDER BY r.n);
    END IF;
    IF cardinality(a_unit) > 0 THEN
        refusals := refusals || ARRAY(SELECT ROW (a.unit, 'conflict', a.n, coalesce(head.version, 0))::{s}.refusal
            FROM unnest(a_unit, a_aggregate, a_uuid, a_expected) WITH ORDINALITY AS a(unit, aggregate, uuid, expected, n)
            LEFT JOIN LATERAL (SELECT e.version FROM {s}.events e WHERE e.uuid = a.uuid AND e.aggregate = a.aggregate
                ORDER BY e.version DESC LIMIT 1) AS head ON true
            WHERE coalesce(head.version, 0) <> a.expected
            ORDER BY a.n);
    END IF;
    IF cardinality(g_unit) > 0 THEN
        refusals := refusals || ARRAY(SELECT ROW (g.unit, 'saga moved', g.n, coalesce(stored.version, 0))::{s}.refusal
            FROM unnest(g_unit, g_id, g_expected) WITH ORDINALITY AS g(unit, id, expected, n)
            LEFT JOIN {s}.sagas AS stored ON stored.id = g.id
            WHERE coalesce(stored.version, 0) <> g.expected
            ORDER BY g.n);
        refusals := refusals || ARRAY(SELECT ROW (g.unit, 'saga exists', g.n, 0)::{s}.refusal
            FROM unnest(g_unit, g_expected, g_row) WITH ORDINALITY AS g(unit, expected, row, n)
            WHERE g.expected = 0 AND EXISTS (SELECT FROM {s}.sagas AS stored
                WHERE stored.key IS NOT NULL AND stored.saga = g.row ->> 'saga' AND stored.key = g.row ->> 'key')
            ORDER BY g.n);
    END IF;
    FOREACH refusal IN ARRAY refusals LOOP
        IF ok[refusal.unit] THEN
            ok[refusal.unit] := false;
            refused := refused || refusal.unit;
            reasons := reasons || refusal.reason;
            items := items || refusal.item;
            actual := actual || refusal.actual;
        END IF;
    END LOOP;
    IF NOT true = ANY (ok) THEN
        RETURN;
    END IF;

    IF cardinality(e_unit) > 0 OR cardinality(m_unit) > 0 THEN
        -- Held until the commit can be seen: readers know by it which numbers may still appear. Nobody takes it exclusively.
        PERFORM pg_advisory_xact_lock_shared({class}, {space});
    END IF;
    IF cardinality(e_unit) > 0 THEN
        WITH inserted AS (
            INSERT INTO {s}.events (position, aggregate, uuid, version, name, data, at, correlation, causation, "user")
            SELECT nextval('{s}.positions'), e.aggregate, e.uuid, e.version, e.name, e.data::json, e.at, e.correlation, e.causation, e."user"
            FROM (
                SELECT * FROM unnest(e_unit, e_aggregate, e_uuid, e_version, e_name, e_data, e_at, e_correlation, e_causation, e_user)
                    WITH ORDINALITY AS e(unit, aggregate, uuid, version, name, data, at, correlation, causation, "user", n)
                WHERE ok[e.unit] ORDER BY e.n
            ) AS e
            RETURNING position
        )
        SELECT coalesce(array_agg(position ORDER BY position), '{}'), coalesce(max(position), 0) INTO positions, drawn FROM inserted;
    END IF;
    IF cardinality(m_unit) > 0 THEN
        WITH inserted AS (
            INSERT INTO {s}.outbox (id, message, topic, key, headers, content)
            SELECT nextval('{s}.positions'), m.id, m.topic, m.key, m.headers, m.content
            FROM (
                SELECT * FROM unnest(m_unit, m_id, m_topic, m_key, m_headers, m_content)
                    WITH ORDINALITY AS m(unit, id, topic, key, headers, content, n)
                WHERE ok[m.unit] ORDER BY m.n
            ) AS m
            RETURNING id
        )
        SELECT max(id) INTO highest FROM inserted;
        drawn := greatest(drawn, highest);
    END IF;
    IF cardinality(k_unit) > 0 THEN
        INSERT INTO {s}.inbox AS i (subscriber, key, version, answer, at)
        SELECT k.subscriber, k.key, k.becomes, k.answer, k.at
        FROM unnest(k_unit, k_subscriber, k_key, k_becomes, k_answer, k_at) AS k(unit, subscriber, key, becomes, answer, at)
        WHERE ok[k.unit]
        ON CONFLICT ON CONSTRAINT inbox_pkey DO UPDATE SET version = excluded.version, answer = excluded.answer, at = excluded.at;
    END IF;
    IF cardinality(d_unit) > 0 THEN
        INSERT INTO {s}.dead_letters (at, subscriber, key, topic, headers, content, cause, attempts)
        SELECT d.at, d.subscriber, d.key, d.topic, d.headers, d.content, d.cause, d.attempts
        FROM unnest(d_unit, d_at, d_subscriber, d_key, d_topic, d_headers, d_content, d_cause, d_attempts)
            WITH ORDINALITY AS d(unit, at, subscriber, key, topic, headers, content, cause, attempts, n)
        WHERE ok[d.unit] ORDER BY d.n;
    END IF;
    IF cardinality(r_unit) > 0 THEN
        DELETE FROM {s}.dead_letters d USING unnest(r_unit, r_id) AS r(unit, id) WHERE ok[r.unit] AND d.id = r.id;
    END IF;
    IF cardinality(c_unit) > 0 THEN
        INSERT INTO {s}.checkpoints AS c (name, position)
        SELECT n.name, max(n.position) FROM unnest(c_unit, c_name, c_position) AS n(unit, name, position) WHERE ok[n.unit] GROUP BY n.name
        ON CONFLICT ON CONSTRAINT checkpoints_pkey DO UPDATE SET position = greatest(c.position, excluded.position);
    END IF;
    IF cardinality(s_unit) > 0 THEN
        DELETE FROM {s}.outbox o USING unnest(s_unit, s_id) AS s(unit, id) WHERE ok[s.unit] AND o.id = s.id;
    END IF;
    IF cardinality(g_unit) > 0 THEN
        INSERT INTO {s}.sagas
        SELECT new.* FROM unnest(g_unit, g_expected, g_row) AS g(unit, expected, row)
        CROSS JOIN LATERAL json_populate_record(NULL::{s}.sagas, g.row) AS new
        WHERE ok[g.unit] AND g.expected = 0;
        UPDATE {s}.sagas AS stored
        SET definition = new.definition, status = new.status, ended = new.ended, wake = new.wake, version = new.version,
            state = new.state, changed_at = new.changed_at
        FROM unnest(g_unit, g_id, g_expected, g_row) AS g(unit, id, expected, row)
        CROSS JOIN LATERAL json_populate_record(NULL::{s}.sagas, g.row) AS new
        WHERE ok[g.unit] AND g.expected > 0 AND stored.id = g.id;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed <> (SELECT count(*) FROM unnest(g_unit, g_expected) AS g(unit, expected) WHERE ok[g.unit] AND g.expected > 0) THEN
            -- Who removes executions takes none of the locks. Once more, and it is seen to be gone.
            RAISE EXCEPTION 'an execution was removed meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    INSERT INTO {s}.batches (writer, batch, positions, drawn, refused, reasons, items, actual)
    VALUES (of_writer, of_batch, append_v1.positions, append_v1.drawn, append_v1.refused, append_v1.reasons, append_v1.items, append_v1.actual);
END
$$;

-- How far the numbers have been drawn, and then, later, who may still commit some of them. `pg_sequence_last_value` reads under the lock that
-- `nextval` holds while it writes: a plain `SELECT last_value` may see a higher number that is only meant for the log.
CREATE FUNCTION {s}.fence_v1(OUT drawn bigint, OUT written bigint, OUT flushed bigint, OUT holders text[], OUT pids int[]) LANGUAGE plpgsql
AS $$
BEGIN
    drawn := coalesce(pg_sequence_last_value('{s}.positions'::regclass), 0);
    written := (pg_current_wal_insert_lsn() - '0/0')::bigint;
    SELECT coalesce(array_agg(coalesce(pid, 0) || ' ' || virtualtransaction), '{}'), coalesce(array_agg(coalesce(pid, 0)), '{}')
        INTO holders, pids FROM pg_locks
        WHERE locktype = 'advisory' AND classid = {class}::oid AND objid = {space}::oid AND objsubid = 2 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    flushed := (pg_current_wal_flush_lsn() - '0/0')::bigint;
END
$$;

-- Takes or renews a lease. Who commits under it holds the same lock, so none that was checked before commits behind a change of owner.
CREATE FUNCTION {s}.acquire_v1(lock bigint, of_name text, of_owner uuid, ttl double precision, OUT of_epoch bigint) LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(lock);
    INSERT INTO {s}.leases AS l (name, owner, epoch, until)
    VALUES (of_name, of_owner, 1, clock_timestamp() + make_interval(secs => ttl))
    ON CONFLICT ON CONSTRAINT leases_pkey DO UPDATE
        SET owner = excluded.owner, until = excluded.until, epoch = l.epoch + (l.owner IS DISTINCT FROM excluded.owner)::int
        WHERE l.owner IS NULL OR l.owner = excluded.owner OR l.until <= clock_timestamp()
    RETURNING l.epoch INTO of_epoch;
END
$$;
