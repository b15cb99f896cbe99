-- A batch takes as long as it has documents, and not as long as their number squared: each is found by the index, where all that were written were
-- compared with all that were to be. Arguments and answers are as they were, so nodes of both versions call it by the same name. A subject without a key
-- (`y_key`) has to have one already.
CREATE OR REPLACE FUNCTION {s}.append_v2(
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
    w_unit int[], w_collection text[], w_key text[], w_body text[], w_expected bigint[],
    h_unit int[], h_collection text[], h_with text[],
    u_unit int[], u_aggregate text[], u_field text[], u_value text[], u_uuid uuid[], u_takes boolean[],
    p_unit int[], p_uuid uuid[], p_aggregate text[], p_version bigint[], p_schema text[], p_state text[],
    y_unit int[], y_subject uuid[], y_key bytea[],
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
    put bigint;
    removed bigint;
    made_if bigint;
    changed_if bigint;
    removed_if bigint;
    moved boolean := false;
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
    IF cardinality(w_unit) > 0 THEN
        refusals := refusals || ARRAY(SELECT ROW (w.unit, 'document moved', w.n, coalesce(stored.version, 0))::{s}.refusal
            FROM unnest(w_unit, w_collection, w_key, w_expected) WITH ORDINALITY AS w(unit, collection, key, expected, n)
            LEFT JOIN {s}.documents AS stored ON stored.collection = w.collection AND stored.key = w.key
            WHERE w.expected IS NOT NULL AND coalesce(stored.version, 0) <> w.expected
            ORDER BY w.n);
    END IF;
    IF cardinality(y_unit) > 0 THEN
        -- Many write about one subject at once; who forgets it waits for them, and they for who forgets it.
        PERFORM FROM {s}.subject_keys AS stored WHERE stored.subject = ANY (y_subject) ORDER BY stored.subject FOR SHARE;
        refusals := refusals || ARRAY(
            SELECT ROW (y.unit, CASE WHEN stored.key IS NULL THEN 'forgotten' ELSE 'key exists' END, y.n, 0)::{s}.refusal
            FROM unnest(y_unit, y_subject, y_key) WITH ORDINALITY AS y(unit, subject, key, n)
            LEFT JOIN {s}.subject_keys AS stored ON stored.subject = y.subject
            WHERE CASE WHEN y.key IS NULL THEN stored.key IS NULL ELSE stored.subject IS NOT NULL END
            ORDER BY y.n);
    END IF;
    IF cardinality(u_unit) > 0 THEN
        -- The reason names who has it.
        refusals := refusals || ARRAY(SELECT ROW (u.unit, 'not unique ' || stored.uuid, u.n, 0)::{s}.refusal
            FROM unnest(u_unit, u_aggregate, u_field, u_value, u_uuid, u_takes)
                WITH ORDINALITY AS u(unit, aggregate, field, value, uuid, takes, n)
            JOIN {s}.unique_values AS stored ON stored.aggregate = u.aggregate AND stored.field = u.field AND stored.value = u.value
            WHERE u.takes AND stored.uuid <> u.uuid AND NOT EXISTS (
                SELECT FROM unnest(u_unit, u_aggregate, u_field, u_value, u_uuid, u_takes) AS r(unit, aggregate, field, value, uuid, takes)
                WHERE NOT r.takes AND r.unit = u.unit AND r.aggregate = u.aggregate AND r.field = u.field AND r.value = u.value
                    AND r.uuid = stored.uuid)
            ORDER BY u.n);
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
    IF cardinality(h_unit) > 0 THEN
        DELETE FROM {s}.documents d USING unnest(h_unit, h_collection) AS h(unit, collection)
        WHERE ok[h.unit] AND d.collection = h.collection;
        BEGIN
            UPDATE {s}.documents d SET collection = h.collection FROM unnest(h_unit, h_collection, h_with) AS h(unit, collection, "with")
            WHERE ok[h.unit] AND d.collection = h."with";
        EXCEPTION WHEN unique_violation THEN
            -- Somebody has written to the collection meanwhile. Once more, and that is removed, too.
            RAISE EXCEPTION 'a collection was written to while it was replaced' USING ERRCODE = 'serialization_failure';
        END;
    END IF;
    IF cardinality(w_unit) > 0 THEN
        SELECT count(*) FILTER (WHERE w.expected IS NULL AND w.body IS NOT NULL), count(*) FILTER (WHERE w.expected IS NULL AND w.body IS NULL),
            count(*) FILTER (WHERE w.expected = 0 AND w.body IS NOT NULL), count(*) FILTER (WHERE w.expected > 0 AND w.body IS NOT NULL),
            count(*) FILTER (WHERE w.expected > 0 AND w.body IS NULL)
            INTO put, removed, made_if, changed_if, removed_if
            FROM unnest(w_unit, w_body, w_expected) AS w(unit, body, expected) WHERE ok[w.unit];
        IF put > 0 THEN
            INSERT INTO {s}.documents AS d (collection, key, version, body)
            SELECT w.collection, w.key, 1, w.body::json
            FROM unnest(w_unit, w_collection, w_key, w_body, w_expected) AS w(unit, collection, key, body, expected)
            WHERE ok[w.unit] AND w.body IS NOT NULL AND w.expected IS NULL
            ORDER BY w.collection COLLATE "C", w.key COLLATE "C"
            ON CONFLICT ON CONSTRAINT documents_pkey DO UPDATE SET version = d.version + 1, body = excluded.body;
        END IF;
        IF removed > 0 THEN
            DELETE FROM {s}.documents d
            USING unnest(w_unit, w_collection, w_key, w_body, w_expected) AS w(unit, collection, key, body, expected)
            WHERE ok[w.unit] AND w.body IS NULL AND w.expected IS NULL AND d.collection = w.collection AND d.key = w.key;
        END IF;
        -- Who changes a collection as a whole takes none of the locks of its documents: a version that was checked is looked at again, by what is
        -- done to it. Each is found by the index, so that a batch takes as long as it has documents.
        IF made_if > 0 THEN
            INSERT INTO {s}.documents (collection, key, version, body)
            SELECT w.collection, w.key, 1, w.body::json
            FROM unnest(w_unit, w_collection, w_key, w_body, w_expected) AS w(unit, collection, key, body, expected)
            WHERE ok[w.unit] AND w.body IS NOT NULL AND w.expected = 0
            ORDER BY w.collection COLLATE "C", w.key COLLATE "C"
            ON CONFLICT ON CONSTRAINT documents_pkey DO NOTHING;
            GET DIAGNOSTICS changed = ROW_COUNT;
            moved := moved OR changed <> made_if;
        END IF;
        IF changed_if > 0 THEN
            UPDATE {s}.documents AS d SET version = d.version + 1, body = w.body::json
            FROM (
                SELECT * FROM unnest(w_unit, w_collection, w_key, w_body, w_expected) AS w(unit, collection, key, body, expected)
                WHERE ok[w.unit] AND w.body IS NOT NULL AND w.expected > 0
                ORDER BY w.collection COLLATE "C", w.key COLLATE "C"
            ) AS w
            WHERE d.collection = w.collection AND d.key = w.key AND d.version = w.expected;
            GET DIAGNOSTICS changed = ROW_COUNT;
            moved := moved OR changed <> changed_if;
        END IF;
        IF removed_if > 0 THEN
            DELETE FROM {s}.documents d
            USING unnest(w_unit, w_collection, w_key, w_body, w_expected) AS w(unit, collection, key, body, expected)
            WHERE ok[w.unit] AND w.body IS NULL AND w.expected > 0
                AND d.collection = w.collection AND d.key = w.key AND d.version = w.expected;
            GET DIAGNOSTICS changed = ROW_COUNT;
            moved := moved OR changed <> removed_if;
        END IF;
        IF moved THEN
            RAISE EXCEPTION 'a collection was changed while one of its documents was written' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    IF cardinality(u_unit) > 0 THEN
        DELETE FROM {s}.unique_values s
        USING unnest(u_unit, u_aggregate, u_field, u_value, u_uuid, u_takes) AS u(unit, aggregate, field, value, uuid, takes)
        WHERE ok[u.unit] AND NOT u.takes AND s.aggregate = u.aggregate AND s.field = u.field AND s.value = u.value AND s.uuid = u.uuid;
        INSERT INTO {s}.unique_values (aggregate, field, value, uuid)
        SELECT u.aggregate, u.field, u.value, u.uuid
        FROM unnest(u_unit, u_aggregate, u_field, u_value, u_uuid, u_takes) AS u(unit, aggregate, field, value, uuid, takes)
        WHERE ok[u.unit] AND u.takes
        ON CONFLICT ON CONSTRAINT unique_values_pkey DO NOTHING;
    END IF;
    IF cardinality(p_unit) > 0 THEN
        -- They have no locks: sorted, so that no two batches wait for each other.
        INSERT INTO {s}.snapshots AS s (uuid, aggregate, version, schema, state)
        SELECT DISTINCT ON (p.uuid, p.aggregate) p.uuid, p.aggregate, p.version, p.schema, p.state
        FROM unnest(p_unit, p_uuid, p_aggregate, p_version, p_schema, p_state) AS p(unit, uuid, aggregate, version, schema, state)
        WHERE ok[p.unit] ORDER BY p.uuid, p.aggregate, p.version DESC
        ON CONFLICT ON CONSTRAINT snapshots_pkey DO UPDATE
            SET version = excluded.version, schema = excluded.schema, state = excluded.state
            WHERE excluded.version > s.version OR excluded.version = s.version AND excluded.schema <> s.schema;
    END IF;
    IF cardinality(y_unit) > 0 THEN
        INSERT INTO {s}.subject_keys (subject, key) SELECT y.subject, y.key FROM unnest(y_unit, y_subject, y_key) AS y(unit, subject, key)
        WHERE ok[y.unit] AND y.key IS NOT NULL;
    END IF;
    INSERT INTO {s}.batches (writer, batch, positions, drawn, refused, reasons, items, actual)
    VALUES (of_writer, of_batch, append_v2.positions, append_v2.drawn, append_v2.refused, append_v2.reasons, append_v2.items, append_v2.actual);
END
$$;
