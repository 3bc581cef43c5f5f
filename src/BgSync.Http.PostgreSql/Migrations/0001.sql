-- Version 1 of the store. {schema} stands for the schema's name, quoted. Whatever changes the store is one call of a function, hence one
-- round trip and atomic; the functions call each other only downwards in this file. Times are milliseconds since 1970, by now_ms() alone,
-- and 9223372036854775807 is never.
CREATE SCHEMA IF NOT EXISTS {schema};

-- version: of these tables. readable_from: the oldest version of the library's schema that may still use them.
CREATE TABLE {schema}.schema_version (version integer NOT NULL, readable_from integer NOT NULL);
INSERT INTO {schema}.schema_version VALUES (1, 1);

-- Ids are given out in blocks, so that whoever writes an entry or a body knows its id beforehand.
CREATE SEQUENCE {schema}.id_block INCREMENT BY 100 MINVALUE 1;
-- The ends of all queues: positions are counted up at the back, and down at the front.
CREATE SEQUENCE {schema}.back_position;
CREATE SEQUENCE {schema}.front_position;

-- What makes an entry. checksum: over all of it but its lane, which may change inside the database. priority: -1, 0 or 1.
-- prerequisite: the entry that is to leave the queue before this one is sent. coalesce_key: entries of the same key may be made one.
-- lane_name, coalesce_name: the names in full where no index has room for them and a hash stands in their place.
CREATE TYPE {schema}.request AS (
    queue text,
    lane text,
    made_at bigint,
    expires_at bigint,
    method text,
    uri text,
    origin text,
    version text,
    version_policy bigint,
    headers text,
    content_headers text,
    metadata text,
    traceparent text,
    body_id bigint,
    body_length bigint,
    checksum bigint,
    coalesce_key text,
    prerequisite bigint,
    priority bigint,
    lane_name text,
    coalesce_name text
);

-- The last reply to an entry. is_whole: whether all of its body is kept.
CREATE TYPE {schema}.reply AS (
    status_code integer,
    headers text,
    body bytea,
    is_whole boolean
);

-- What is told of an entry. kind: 0 added, 1 dead, 2 refused, 3 leased, 4 completed. at: when it died, or when the lease ends, or of a
-- refused one how many bytes its body has.
CREATE TYPE {schema}.report AS (
    kind integer,
    id bigint,
    queue text,
    attempts integer,
    last_error text,
    edits integer,
    reason integer,
    at bigint,
    token uuid,
    excess_entries bigint,
    excess_bytes bigint,
    history_at bigint[],
    history_status integer[],
    history_error text[],
    request {schema}.request
);

CREATE TABLE {schema}.pause (
    queue text COLLATE "C" PRIMARY KEY,
    cause integer NOT NULL,
    reason text NOT NULL,
    since bigint NOT NULL
);

-- The counts of a queue, summed when they are read: several rows, so that processes that count at once do not wait for each other.
CREATE TABLE {schema}.tally (
    queue text COLLATE "C" NOT NULL,
    slot integer NOT NULL,
    live bigint NOT NULL,
    dead bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (queue, slot)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0.1);

-- One row for each lane that has entries: what is locked, and what is leased. visible_at: when the head may be leased, or the lease of it
-- ends. wait: 0 none, 1 backoff, 2 asked for by the server, 3 for the head's prerequisite (visible_at is never then). leased_behind: the
-- entries behind the head, in their order, that are leased with it.
CREATE TABLE {schema}.lane (
    queue text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    head_id bigint NOT NULL,
    head_position bigint NOT NULL,
    origin text COLLATE "C" NOT NULL,
    visible_at bigint NOT NULL,
    wait integer NOT NULL,
    attempts integer NOT NULL,
    last_error text,
    lease_owner uuid,
    lease_token uuid,
    leased_behind bigint[],
    PRIMARY KEY (queue, name)
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0.05);
CREATE UNIQUE INDEX lane_head ON {schema}.lane (head_id);
-- The heads of urgent lanes come first: positions lie in a band for each priority, 2^60 apart.
CREATE INDEX lane_due ON {schema}.lane (queue, origin, ((head_position + 576460752303423488) >> 60), visible_at);
CREATE INDEX lane_backoff ON {schema}.lane (queue, visible_at) WHERE wait = 1;
CREATE INDEX lane_leased ON {schema}.lane (lease_token, queue) WHERE lease_token IS NOT NULL;

-- attempts, last_error, not_before and asked_by_server hold from when the entry becomes the head of its lane. edits: how often it was
-- changed by hand.
CREATE TABLE {schema}.entry (
    id bigint PRIMARY KEY,
    position bigint NOT NULL,
    attempts integer NOT NULL,
    last_error text,
    not_before bigint NOT NULL,
    asked_by_server boolean NOT NULL,
    edits integer NOT NULL,
    queue text COLLATE "C" NOT NULL,
    lane text COLLATE "C" NOT NULL,
    made_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    method text NOT NULL,
    uri text NOT NULL,
    origin text COLLATE "C" NOT NULL,
    version text NOT NULL,
    version_policy bigint NOT NULL,
    headers text NOT NULL,
    content_headers text,
    metadata text,
    traceparent text,
    body_id bigint,
    body_length bigint NOT NULL,
    checksum bigint NOT NULL,
    coalesce_key text COLLATE "C",
    prerequisite bigint,
    priority bigint NOT NULL,
    lane_name text,
    coalesce_name text
);
CREATE INDEX entry_lane ON {schema}.entry (queue, lane, position);
CREATE UNIQUE INDEX entry_queue ON {schema}.entry (queue, position);
CREATE INDEX entry_expiry ON {schema}.entry (queue, expires_at, id);
CREATE INDEX entry_coalesce ON {schema}.entry (queue, coalesce_key, position) WHERE coalesce_key IS NOT NULL;
CREATE INDEX entry_prerequisite ON {schema}.entry (prerequisite) WHERE prerequisite IS NOT NULL;

-- ordinal is the order of dying. Nothing but the queue is sure of an entry that could not be read.
CREATE TABLE {schema}.dead_letter (
    ordinal bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id bigint NOT NULL UNIQUE,
    reason integer NOT NULL,
    error text,
    status_code integer,
    died_at bigint NOT NULL,
    attempts integer NOT NULL,
    last_error text,
    reply_headers text,
    reply_body bytea,
    reply_is_whole boolean,
    queue text COLLATE "C" NOT NULL,
    lane text,
    made_at bigint,
    expires_at bigint,
    method text,
    uri text,
    origin text,
    version text,
    version_policy bigint,
    headers text,
    content_headers text,
    metadata text,
    traceparent text,
    body_id bigint,
    body_length bigint,
    checksum bigint,
    coalesce_key text,
    prerequisite bigint,
    priority bigint,
    lane_name text,
    coalesce_name text
);
CREATE INDEX dead_letter_queue ON {schema}.dead_letter (queue, ordinal);

-- The failed attempts at an entry or a dead letter, the last of them.
CREATE TABLE {schema}.attempt (
    entry_id bigint NOT NULL,
    number integer NOT NULL,
    at bigint NOT NULL,
    status_code integer,
    error text,
    PRIMARY KEY (entry_id, number)
);

-- How entries ended: state 1 delivered, 2 dead.
CREATE TABLE {schema}.receipt (
    id bigint PRIMARY KEY,
    queue text COLLATE "C" NOT NULL,
    state integer NOT NULL,
    at bigint NOT NULL,
    reason integer,
    error text,
    status_code integer,
    reply_headers text,
    reply_body bytea,
    reply_is_whole boolean
);
CREATE INDEX receipt_age ON {schema}.receipt (queue, at);

-- The bodies, apart from the entries, which so stay small. They are stored as they are: most are compressed already.
CREATE TABLE {schema}.body_chunk (
    body_id bigint NOT NULL,
    number integer NOT NULL,
    checksum bigint NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (body_id, number)
);
ALTER TABLE {schema}.body_chunk ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- Store instances that hold requests or write bodies, and until when they are taken for alive.
CREATE TABLE {schema}.owner (
    id uuid PRIMARY KEY,
    seen_until bigint NOT NULL
);

-- The bodies that are being written, until an entry takes them over.
CREATE TABLE {schema}.body_draft (
    body_id bigint PRIMARY KEY,
    owner uuid NOT NULL REFERENCES {schema}.owner (id)
);
CREATE INDEX body_draft_owner ON {schema}.body_draft (owner);

-- Requests that are being sent for the first time, by their owner; they enter their queue at their position if that fails. not_before and
-- asked_by_server hold should the owner die. repeatable: whether it may be sent twice then.
CREATE TABLE {schema}.held (
    id bigint PRIMARY KEY,
    owner uuid NOT NULL REFERENCES {schema}.owner (id),
    repeatable boolean NOT NULL,
    position bigint NOT NULL,
    not_before bigint NOT NULL,
    asked_by_server boolean NOT NULL,
    request {schema}.request NOT NULL
);
CREATE INDEX held_owner ON {schema}.held (owner);

-- The server's clock, the only one there is.
CREATE FUNCTION {schema}.now_ms() RETURNS bigint LANGUAGE sql AS
'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint';

CREATE FUNCTION {schema}.take_position(p_priority bigint, p_at_front boolean) RETURNS bigint LANGUAGE sql AS $$
    SELECT (-p_priority << 60)
        + CASE WHEN p_at_front THEN -nextval('{schema}.front_position') ELSE nextval('{schema}.back_position') END
$$;

CREATE FUNCTION {schema}.count_in(p_queue text, p_live bigint, p_dead bigint, p_bytes bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO {schema}.tally AS t VALUES (p_queue, pg_backend_pid() % 16, p_live, p_dead, p_bytes)
    ON CONFLICT (queue, slot) DO UPDATE SET live = t.live + p_live, dead = t.dead + p_dead, bytes = t.bytes + p_bytes
$$;

CREATE FUNCTION {schema}.note_attempt(p_id bigint, p_at bigint, p_status integer, p_error text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_number integer;
BEGIN
    INSERT INTO {schema}.attempt
    SELECT p_id, coalesce(max(number), 0) + 1, p_at, p_status, p_error FROM {schema}.attempt WHERE entry_id = p_id
    RETURNING number INTO v_number;
    DELETE FROM {schema}.attempt WHERE entry_id = p_id AND number <= v_number - 20;
END
$$;

CREATE FUNCTION {schema}.note_receipt(
    p_id bigint, p_queue text, p_state integer, p_at bigint, p_reason integer, p_error text, p_reply {schema}.reply)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO {schema}.receipt
    VALUES (p_id, p_queue, p_state, p_at, p_reason, p_error, p_reply.status_code, p_reply.headers, p_reply.body, p_reply.is_whole)
    ON CONFLICT (id) DO UPDATE SET
        (queue, state, at, reason, error, status_code, reply_headers, reply_body, reply_is_whole)
        = (excluded.queue, excluded.state, excluded.at, excluded.reason, excluded.error, excluded.status_code,
            excluded.reply_headers, excluded.reply_body, excluded.reply_is_whole)
$$;

-- Whether the prerequisite stands before a position. It is locked: whoever removes it at the same time either is waited for, or waits and
-- finds the one that is blocked.
CREATE FUNCTION {schema}.is_blocked(p_queue text, p_prerequisite bigint, p_position bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_before bigint;
BEGIN
    IF p_prerequisite IS NULL THEN
        RETURN false;
    END IF;
    SELECT position INTO v_before FROM {schema}.entry WHERE id = p_prerequisite AND queue = p_queue FOR KEY SHARE;
    RETURN FOUND AND v_before < p_position;
END
$$;

-- Whether an entry of a lane is being sent.
CREATE FUNCTION {schema}.is_sent(l {schema}.lane, p_id bigint, p_now bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT l.lease_token IS NOT NULL AND l.visible_at > p_now AND (l.head_id = p_id OR coalesce(p_id = ANY (l.leased_behind), false))
$$;

-- All of a queue's entries that are being sent.
CREATE FUNCTION {schema}.sent(p_queue text, p_now bigint) RETURNS bigint[] LANGUAGE plpgsql AS $$
BEGIN
    RETURN ARRAY(
        SELECT unnest(head_id || leased_behind) FROM {schema}.lane
        WHERE queue = p_queue AND lease_token IS NOT NULL AND visible_at > p_now);
END
$$;

-- Locks the lane of an entry that is to enter it, takes its position if it has none (so that those of a lane are in the order of the
-- commits), and makes it the head if it is alone there or stands before the head, unless that is being sent. The one displaced keeps its
-- attempts, and its wait if it was asked for.
CREATE FUNCTION {schema}.enter(e {schema}.entry, p_at_front boolean, p_now bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    l {schema}.lane;
    v_position bigint;
    v_blocked boolean;
    v_visible_at bigint;
    v_wait integer;
BEGIN
    -- Before the lane, as whoever removes it locks it before the lanes that wait for it; in its own lane that lock is enough.
    IF e.prerequisite IS NOT NULL THEN
        PERFORM FROM {schema}.entry WHERE id = e.prerequisite AND queue = e.queue AND lane <> e.lane FOR KEY SHARE;
    END IF;
    LOOP
        SELECT * INTO l FROM {schema}.lane WHERE queue = e.queue AND name = e.lane FOR UPDATE;
        v_position := coalesce(e.position, {schema}.take_position(e.priority, p_at_front));
        v_blocked := {schema}.is_blocked(e.queue, e.prerequisite, v_position);
        v_visible_at := CASE WHEN v_blocked THEN 9223372036854775807 ELSE greatest(e.not_before, p_now) END;
        v_wait := CASE WHEN v_blocked THEN 3 WHEN e.not_before <= p_now THEN 0 WHEN e.asked_by_server THEN 2 ELSE 1 END;
        EXIT WHEN l.queue IS NOT NULL;
        INSERT INTO {schema}.lane
        VALUES (e.queue, e.lane, e.id, v_position, e.origin, v_visible_at, v_wait, e.attempts, e.last_error, NULL, NULL)
        ON CONFLICT (queue, name) DO NOTHING;
        IF FOUND THEN
            RETURN v_position;
        END IF;
    END LOOP;
    IF v_position < l.head_position AND (l.lease_token IS NULL OR l.visible_at <= p_now) THEN
        UPDATE {schema}.entry SET
            attempts = l.attempts + (l.lease_token IS NOT NULL)::integer,
            last_error = l.last_error,
            not_before = CASE WHEN l.wait = 3 THEN not_before ELSE l.visible_at END,
            asked_by_server = CASE WHEN l.wait = 3 THEN asked_by_server ELSE l.wait = 2 END
        WHERE id = l.head_id;
        UPDATE {schema}.lane SET
            (head_id, head_position, origin, visible_at, wait, attempts, last_error, lease_owner, lease_token, leased_behind)
            = (e.id, v_position, e.origin, v_visible_at, v_wait, e.attempts, e.last_error, NULL, NULL, NULL)
        WHERE queue = e.queue AND name = e.lane;
    END IF;
    RETURN v_position;
END
$$;

-- Makes the first entry of a lane its head, or removes the lane if there is none. It is due at once, unless the server asked for a wait
-- that is not over, or its prerequisite stands before it. The lane is locked.
CREATE FUNCTION {schema}.promote(p_queue text, p_lane text, p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    e {schema}.entry;
    v_blocked boolean;
BEGIN
    SELECT * INTO e FROM {schema}.entry WHERE queue = p_queue AND lane = p_lane ORDER BY position LIMIT 1;
    IF NOT FOUND THEN
        DELETE FROM {schema}.lane WHERE queue = p_queue AND name = p_lane;
        RETURN;
    END IF;
    v_blocked := {schema}.is_blocked(e.queue, e.prerequisite, e.position);
    UPDATE {schema}.lane SET
        head_id = e.id,
        head_position = e.position,
        origin = e.origin,
        visible_at = CASE
            WHEN v_blocked THEN 9223372036854775807
            WHEN e.asked_by_server THEN greatest(e.not_before, p_now)
            ELSE p_now END,
        wait = CASE WHEN v_blocked THEN 3 WHEN e.asked_by_server AND e.not_before > p_now THEN 2 ELSE 0 END,
        attempts = e.attempts,
        last_error = e.last_error,
        lease_owner = NULL,
        lease_token = NULL,
        leased_behind = NULL
    WHERE queue = p_queue AND name = p_lane;
END
$$;

CREATE FUNCTION {schema}.delete_body(p_body_id bigint) RETURNS void LANGUAGE sql AS
'DELETE FROM {schema}.body_chunk WHERE body_id = p_body_id';

-- Takes entries of a lane, which is locked, out of their queue, and lets go those that waited for them, but for waits that the server
-- asked for.
CREATE FUNCTION {schema}.take_out(p_queue text, p_lane text, p_ids bigint[], p_has_head boolean, p_are_kept boolean, p_now bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_body_ids bigint[];
    v_bytes bigint;
BEGIN
    WITH gone AS (DELETE FROM {schema}.entry WHERE id = ANY (p_ids) RETURNING body_id, body_length)
    SELECT array_agg(body_id), coalesce(sum(body_length), 0) INTO v_body_ids, v_bytes FROM gone;
    IF NOT p_are_kept THEN
        DELETE FROM {schema}.body_chunk WHERE body_id = ANY (v_body_ids);
        DELETE FROM {schema}.attempt WHERE entry_id = ANY (p_ids);
    END IF;
    PERFORM {schema}.count_in(
        p_queue, -cardinality(p_ids), CASE WHEN p_are_kept THEN cardinality(p_ids) ELSE 0 END, -v_bytes);
    -- A statement after the deletion of all, so that it sees whoever had locked one of them as its prerequisite.
    UPDATE {schema}.lane SET
        visible_at = CASE WHEN entry.asked_by_server THEN greatest(entry.not_before, p_now) ELSE p_now END,
        wait = CASE WHEN entry.asked_by_server AND entry.not_before > p_now THEN 2 ELSE 0 END
    FROM {schema}.entry
    WHERE entry.prerequisite = ANY (p_ids) AND lane.head_id = entry.id AND lane.wait = 3;
    IF p_has_head THEN
        PERFORM {schema}.promote(p_queue, p_lane, p_now);
    END IF;
END
$$;

-- Moves an entry, or what there is of it, to the dead letters, or removes it; its lane is locked.
CREATE FUNCTION {schema}.bury_entry(
    p_queue text, p_lane text, p_id bigint, p_is_head boolean, p_attempts integer, p_last_error text,
    p_reason integer, p_error text, p_reply {schema}.reply, p_is_kept boolean, p_is_of_attempt boolean, p_now bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.note_receipt(p_id, p_queue, 2, p_now, p_reason, p_error, p_reply);
    IF p_is_kept THEN
        INSERT INTO {schema}.dead_letter
            (id, reason, error, status_code, died_at, attempts, last_error, reply_headers, reply_body, reply_is_whole,
            queue, lane, made_at, expires_at, method, uri, origin, version, version_policy, headers, content_headers,
            metadata, traceparent, body_id, body_length, checksum, coalesce_key, prerequisite, priority, lane_name, coalesce_name)
        SELECT p_id, p_reason, p_error, p_reply.status_code, p_now, p_attempts, p_last_error,
            p_reply.headers, p_reply.body, p_reply.is_whole,
            p_queue, p_lane, made_at, expires_at, method, uri, origin, version, version_policy, headers, content_headers,
            metadata, traceparent, body_id, body_length, checksum, coalesce_key, prerequisite, priority, lane_name, coalesce_name
        FROM (SELECT) AS one LEFT JOIN {schema}.entry ON id = p_id;
        IF p_is_of_attempt THEN
            PERFORM {schema}.note_attempt(p_id, p_now, p_reply.status_code, p_error);
        END IF;
    END IF;
    PERFORM {schema}.take_out(p_queue, p_lane, ARRAY[p_id], p_is_head, p_is_kept, p_now);
END
$$;

-- An entry of a queue, its lane locked; nulls when the queue has none of that id.
CREATE FUNCTION {schema}.lock_entry(p_queue text, p_id bigint) RETURNS {schema}.entry LANGUAGE plpgsql AS $$
DECLARE
    e {schema}.entry;
    v_lane text;
BEGIN
    LOOP
        SELECT * INTO e FROM {schema}.entry WHERE id = p_id AND queue = p_queue;
        EXIT WHEN e.id IS NULL OR e.lane = v_lane;
        v_lane := e.lane;
        PERFORM FROM {schema}.lane WHERE queue = p_queue AND name = v_lane FOR UPDATE;
    END LOOP;
    RETURN e;
END
$$;

-- Locks the lanes of entries, in the order in which everybody does.
CREATE FUNCTION {schema}.lock_lanes_of(p_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM {schema}.lane
    WHERE (queue, name) IN (SELECT entry.queue, entry.lane FROM {schema}.entry WHERE entry.id = ANY (p_ids))
    ORDER BY queue, name FOR UPDATE;
END
$$;

-- Locks what a batch is going to change, in an order that is the same for all, so that two batches do not wait for each other's lanes.
-- p_ids: of entries and of held requests. p_tokens: of leases.
CREATE FUNCTION {schema}.lock_batch(p_limited text[], p_queues text[], p_lanes text[], p_ids bigint[], p_tokens uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.lock_limits(queue) FROM unnest(p_limited) AS limited (queue) ORDER BY queue COLLATE "C";
    PERFORM FROM {schema}.lane
    WHERE (queue, name) IN (
        SELECT * FROM unnest(p_queues, p_lanes)
        UNION SELECT entry.queue, entry.lane FROM {schema}.entry WHERE id = ANY (p_ids)
        UNION SELECT (request).queue, (request).lane FROM {schema}.held WHERE id = ANY (p_ids)
        UNION SELECT leased.queue, leased.name FROM {schema}.lane AS leased WHERE lease_token = ANY (p_tokens))
    ORDER BY queue, name FOR UPDATE;
END
$$;

-- Has those wait for each other who look whether a queue is full, so that it never holds more than it may.
CREATE FUNCTION {schema}.lock_limits(p_queue text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('limits of {schema}.' || p_queue, 0));
END
$$;

-- Ends a lease whose time is up, when an entry that it covers behind the head is changed. The head has been attempted.
CREATE FUNCTION {schema}.void_lease_of(l {schema}.lane, p_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_id = ANY (l.leased_behind) THEN
        UPDATE {schema}.lane SET
            (attempts, lease_owner, lease_token, leased_behind) = (attempts + 1, NULL, NULL, NULL)
        WHERE queue = l.queue AND name = l.name;
    END IF;
END
$$;

-- Buries an entry unless it is being sent, and tells of it as it was.
CREATE FUNCTION {schema}.drop_idle(p_queue text, p_id bigint, p_reason integer, p_is_kept boolean, p_now bigint)
RETURNS SETOF {schema}.report LANGUAGE plpgsql AS $$
DECLARE
    e {schema}.entry;
    l {schema}.lane;
BEGIN
    e := {schema}.lock_entry(p_queue, p_id);
    SELECT * INTO l FROM {schema}.lane WHERE queue = e.queue AND name = e.lane;
    IF e.id IS NULL OR {schema}.is_sent(l, e.id, p_now) THEN
        RETURN;
    END IF;
    PERFORM {schema}.void_lease_of(l, e.id);
    IF l.head_id = e.id THEN
        e.attempts := l.attempts + (l.lease_token IS NOT NULL)::integer;
        e.last_error := l.last_error;
    END IF;
    RETURN QUERY SELECT 1, e.id, e.queue, e.attempts, e.last_error, e.edits, p_reason, p_now, NULL::uuid, NULL::bigint, NULL::bigint,
        h.at, h.status_code, h.error, {schema}.request_of(e)
    FROM {schema}.history_of(e.id) AS h;
    PERFORM {schema}.bury_entry(
        e.queue, e.lane, e.id, l.head_id = e.id, e.attempts, e.last_error, p_reason, NULL, NULL, p_is_kept, false, p_now);
END
$$;

CREATE FUNCTION {schema}.request_of(e {schema}.entry) RETURNS {schema}.request LANGUAGE sql IMMUTABLE AS $$
    SELECT e.queue, e.lane, e.made_at, e.expires_at, e.method, e.uri, e.origin, e.version, e.version_policy, e.headers,
        e.content_headers, e.metadata, e.traceparent, e.body_id, e.body_length, e.checksum, e.coalesce_key, e.prerequisite, e.priority,
        e.lane_name, e.coalesce_name
$$;

CREATE FUNCTION {schema}.history_of(p_id bigint, OUT at bigint[], OUT status_code integer[], OUT error text[]) LANGUAGE sql AS $$
    SELECT array_agg(a.at ORDER BY a.number), array_agg(a.status_code ORDER BY a.number), array_agg(a.error ORDER BY a.number)
    FROM {schema}.attempt AS a WHERE a.entry_id = p_id
$$;

-- Drops what has to leave a queue for a new entry; planned before anything changes.
-- Tells of those that died, or by one row of kind 2 that there is no room, and then nothing has changed.
-- p_when_full: 0 refuses, 1 drops the oldest, 2 drops those that expire first.
CREATE FUNCTION {schema}.make_room(
    p_queue text, p_bytes bigint, p_prerequisite bigint, p_max_entries bigint, p_max_bytes bigint, p_when_full integer, p_now bigint)
RETURNS SETOF {schema}.report LANGUAGE plpgsql AS $$
DECLARE
    v_max_entries bigint := coalesce(p_max_entries, 9223372036854775807);
    v_max_bytes bigint := coalesce(p_max_bytes, 9223372036854775807);
    v_entries bigint;
    v_bytes bigint;
    v_fixed bigint;
    v_fixed_bytes bigint;
    v_left bigint;
    v_left_bytes bigint;
    v_sent bigint[];
    v_ids bigint[];
    v_band bigint;
    v_idle refcursor;
    v_id bigint;
    v_length bigint;
    v_count bigint;
BEGIN
    IF p_max_entries IS NULL AND p_max_bytes IS NULL THEN
        RETURN;
    END IF;
    PERFORM {schema}.lock_limits(p_queue);
    LOOP
        SELECT sum(live) + 1 - v_max_entries, sum(bytes) - (v_max_bytes - p_bytes) INTO v_entries, v_bytes
        FROM {schema}.tally WHERE queue = p_queue;
        v_entries := greatest(coalesce(v_entries, 1 - v_max_entries), 0);
        v_bytes := greatest(coalesce(v_bytes, p_bytes - v_max_bytes), 0);
        IF v_entries = 0 AND v_bytes = 0 THEN
            RETURN;
        END IF;

        -- Asked first, or a queue of which too much is being sent would be read to its end in vain.
        v_sent := {schema}.sent(p_queue, p_now);
        SELECT count(*) + 1, coalesce(sum(e.body_length), 0) + p_bytes INTO v_fixed, v_fixed_bytes
        FROM (SELECT unnest(v_sent) UNION SELECT p_prerequisite) AS fixed (id)
        -- One by one: joined as a whole, all of the entries would be read.
        CROSS JOIN LATERAL (SELECT body_length FROM {schema}.entry WHERE entry.id = fixed.id AND queue = p_queue OFFSET 0) AS e;
        v_ids := '{}';
        v_left := v_entries;
        v_left_bytes := v_bytes;
        -- By priority where it is the oldest, and all in one where it is those that expire first.
        FOR v_band IN SELECT * FROM generate_series(1, CASE p_when_full WHEN 1 THEN -1 ELSE 1 END, -1)
            WHERE p_when_full <> 0 AND v_fixed <= v_max_entries AND v_fixed_bytes <= v_max_bytes LOOP
            OPEN v_idle FOR EXECUTE
                'SELECT id, body_length FROM {schema}.entry
                WHERE queue = $1 AND id IS DISTINCT FROM $2 AND id <> ALL ($3)'
                || CASE p_when_full
                    WHEN 1 THEN ' AND position >= $4 AND position < $5 ORDER BY position'
                    ELSE ' ORDER BY expires_at, id' END
                USING p_queue, p_prerequisite, v_sent,
                    (v_band << 60) - 576460752303423488, (v_band << 60) + 576460752303423488;
            WHILE v_left > 0 OR v_left_bytes > 0 LOOP
                FETCH v_idle INTO v_id, v_length;
                EXIT WHEN NOT FOUND;
                v_ids := v_ids || v_id;
                v_left := v_left - 1;
                v_left_bytes := v_left_bytes - v_length;
            END LOOP;
            CLOSE v_idle;
        END LOOP;
        IF v_left > 0 OR v_left_bytes > 0 THEN
            RETURN QUERY SELECT 2, NULL::bigint, p_queue, NULL::integer, NULL::text, NULL::integer, NULL::integer, p_bytes, NULL::uuid,
                v_entries, v_bytes, NULL::bigint[], NULL::integer[], NULL::text[], NULL::{schema}.request;
            RETURN;
        END IF;

        -- Those that were leased or have left before they were locked are made up for by others.
        PERFORM {schema}.lock_lanes_of(v_ids);
        v_sent := {schema}.sent(p_queue, p_now);
        SELECT count(*) INTO v_count FROM {schema}.entry WHERE id = ANY (v_ids) AND id <> ALL (v_sent);
        CONTINUE WHEN v_count < cardinality(v_ids);
        FOREACH v_id IN ARRAY v_ids LOOP
            RETURN QUERY SELECT * FROM {schema}.drop_idle(p_queue, v_id, 7, true, p_now);
        END LOOP;
        RETURN;
    END LOOP;
END
$$;

-- Refuses what would stand before the entry that it waits for.
CREATE FUNCTION {schema}.require_before(p_queue text, p_prerequisite bigint, p_position bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM {schema}.entry WHERE id = p_prerequisite AND queue = p_queue AND position >= p_position) THEN
        RAISE EXCEPTION 'Entry % does not stand before it.', p_prerequisite USING ERRCODE = 'BG001';
    END IF;
END
$$;

-- Makes a body an entry's own: a streamed one that was drafted, or the bytes that come along.
CREATE FUNCTION {schema}.adopt_body(p_body_id bigint, p_inline bytea, p_inline_checksum bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_body_id IS NULL THEN
        RETURN;
    END IF;
    IF p_inline IS NOT NULL THEN
        INSERT INTO {schema}.body_chunk VALUES (p_body_id, 0, p_inline_checksum, p_inline);
        RETURN;
    END IF;
    DELETE FROM {schema}.body_draft WHERE body_id = p_body_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Body % was disposed of, or belongs to another entry.', p_body_id USING ERRCODE = 'BG002';
    END IF;
END
$$;

-- Writes an entry that has its place in no lane yet, and says where it stands.
CREATE FUNCTION {schema}.insert_entry(e {schema}.entry, p_at_front boolean, p_now bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    e.position := {schema}.enter(e, p_at_front, p_now);
    INSERT INTO {schema}.entry VALUES (e.*);
    PERFORM {schema}.count_in(e.queue, 1, 0, e.body_length);
    RETURN e.position;
END
$$;

CREATE FUNCTION {schema}.added(p_id bigint) RETURNS {schema}.report LANGUAGE sql AS $$
    SELECT 0, p_id, entry.queue, entry.attempts, entry.last_error, entry.edits, NULL::integer, NULL::bigint, NULL::uuid,
        NULL::bigint, NULL::bigint, NULL::bigint[], NULL::integer[], NULL::text[], NULL::{schema}.request
    FROM {schema}.entry WHERE id = p_id
$$;

-- Adds an entry under an id of the caller's own, so that a call whose outcome was not heard can be made again.
CREATE FUNCTION {schema}.add(
    p_id bigint, r {schema}.request, p_inline bytea, p_inline_checksum bigint, p_at_front boolean, p_attempts integer, p_last_error text,
    p_last_status integer, p_is_attempt boolean, p_delay bigint, p_only_time boolean,
    p_max_entries bigint, p_max_bytes bigint, p_when_full integer)
RETURNS SETOF {schema}.report LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    v_report {schema}.report;
    v_position bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM {schema}.entry WHERE id = p_id) THEN
        FOR v_report IN SELECT * FROM {schema}.make_room(
            r.queue, r.body_length, r.prerequisite, p_max_entries, p_max_bytes, p_when_full, v_now) LOOP
            RETURN NEXT v_report;
        END LOOP;
        IF v_report.kind = 2 THEN
            RETURN;
        END IF;
        PERFORM {schema}.adopt_body(r.body_id, p_inline, p_inline_checksum);
        v_position := {schema}.insert_entry(
            ROW(p_id, NULL, p_attempts, p_last_error, v_now + p_delay, p_only_time, 0, (r).*)::{schema}.entry, p_at_front, v_now);
        PERFORM {schema}.require_before(r.queue, r.prerequisite, v_position);
        IF p_is_attempt THEN
            PERFORM {schema}.note_attempt(p_id, v_now, p_last_status, p_last_error);
        END IF;
    END IF;
    RETURN QUERY SELECT * FROM {schema}.added(p_id);
END
$$;

-- Has an owner taken for alive from now on.
CREATE FUNCTION {schema}.keep_owner(p_owner uuid, p_timeout bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
BEGIN
    -- Not at every call, or those of one store would wait for each other.
    INSERT INTO {schema}.owner AS o VALUES (p_owner, v_now + p_timeout)
    ON CONFLICT (id) DO UPDATE SET seen_until = excluded.seen_until WHERE o.seen_until < v_now + p_timeout * 2 / 3;
END
$$;

-- Has an owner that holds something taken for alive, and forgets one that holds nothing.
CREATE FUNCTION {schema}.renew_owner(p_owner uuid, p_timeout bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM {schema}.owner WHERE id = p_owner FOR UPDATE;
    IF EXISTS (SELECT FROM {schema}.held WHERE owner = p_owner) OR EXISTS (SELECT FROM {schema}.body_draft WHERE owner = p_owner) THEN
        UPDATE {schema}.owner SET seen_until = {schema}.now_ms() + p_timeout WHERE id = p_owner;
        RETURN FOUND;
    END IF;
    DELETE FROM {schema}.owner WHERE id = p_owner;
    RETURN false;
END
$$;

CREATE FUNCTION {schema}.begin_body(p_body_id bigint, p_owner uuid, p_timeout bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.keep_owner(p_owner, p_timeout);
    INSERT INTO {schema}.body_draft VALUES (p_body_id, p_owner) ON CONFLICT DO NOTHING;
END
$$;

CREATE FUNCTION {schema}.append_chunk(p_body_id bigint, p_number integer, p_checksum bigint, p_bytes bytea) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM {schema}.body_draft WHERE body_id = p_body_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Body % was disposed of, or belongs to an entry.', p_body_id USING ERRCODE = 'BG002';
    END IF;
    INSERT INTO {schema}.body_chunk VALUES (p_body_id, p_number, p_checksum, p_bytes) ON CONFLICT DO NOTHING;
END
$$;

-- Deletes a body that no entry took over.
CREATE FUNCTION {schema}.abandon_body(p_body_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM {schema}.body_draft WHERE body_id = p_body_id;
    IF FOUND THEN
        PERFORM {schema}.delete_body(p_body_id);
    END IF;
END
$$;

CREATE FUNCTION {schema}.hold(
    p_id bigint, p_owner uuid, p_timeout bigint, p_repeatable boolean, r {schema}.request, p_inline bytea, p_inline_checksum bigint,
    p_at_front boolean, p_delay bigint, p_only_time boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM {schema}.held WHERE id = p_id) THEN
        RETURN;
    END IF;
    PERFORM {schema}.keep_owner(p_owner, p_timeout);
    PERFORM {schema}.adopt_body(r.body_id, p_inline, p_inline_checksum);
    INSERT INTO {schema}.held VALUES (
        p_id, p_owner, p_repeatable, {schema}.take_position(r.priority, p_at_front), {schema}.now_ms() + p_delay, p_only_time, r);
END
$$;

-- No row when the owner holds no such request.
CREATE FUNCTION {schema}.release(
    p_held_id bigint, p_owner uuid, p_id bigint, p_attempts integer, p_last_error text, p_last_status integer, p_is_attempt boolean,
    p_delay bigint, p_only_time boolean, p_max_entries bigint, p_max_bytes bigint, p_when_full integer)
RETURNS SETOF {schema}.report LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    v_report {schema}.report;
    h {schema}.held;
BEGIN
    SELECT * INTO h FROM {schema}.held WHERE id = p_held_id AND owner = p_owner FOR UPDATE;
    IF h.id IS NOT NULL THEN
        FOR v_report IN SELECT * FROM {schema}.make_room(
            (h.request).queue, (h.request).body_length, (h.request).prerequisite, p_max_entries, p_max_bytes, p_when_full, v_now) LOOP
            RETURN NEXT v_report;
        END LOOP;
        IF v_report.kind = 2 THEN
            RETURN;
        END IF;
        DELETE FROM {schema}.held WHERE id = p_held_id;
        PERFORM {schema}.insert_entry(
            ROW(p_id, h.position, p_attempts, p_last_error, v_now + p_delay, p_only_time, 0, (h.request).*)::{schema}.entry, false, v_now);
        IF p_is_attempt THEN
            PERFORM {schema}.note_attempt(p_id, v_now, p_last_status, p_last_error);
        END IF;
    ELSIF NOT EXISTS (SELECT FROM {schema}.entry WHERE id = p_id) THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM {schema}.added(p_id);
END
$$;

CREATE FUNCTION {schema}.drop_held(p_held_id bigint, p_owner uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    r {schema}.request;
BEGIN
    DELETE FROM {schema}.held WHERE id = p_held_id AND owner = p_owner RETURNING (request).* INTO r;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM {schema}.delete_body(r.body_id);
    RETURN true;
END
$$;

-- Tells of all that are leased together: the head of a lane, and those behind it.
CREATE FUNCTION {schema}.leased(l {schema}.lane) RETURNS SETOF {schema}.report LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT 3, one.id, l.queue,
        CASE one.number WHEN 1 THEN l.attempts ELSE e.attempts END,
        CASE one.number WHEN 1 THEN l.last_error ELSE e.last_error END,
        e.edits, NULL::integer, l.visible_at, l.lease_token,
        NULL::bigint, NULL::bigint, NULL::bigint[], NULL::integer[], NULL::text[], {schema}.request_of(e)
    FROM unnest(l.head_id || l.leased_behind) WITH ORDINALITY AS one (id, number)
    LEFT JOIN LATERAL (SELECT * FROM {schema}.entry WHERE entry.id = one.id OFFSET 0) AS e ON true
    ORDER BY one.number;
END
$$;

-- Leases heads that are due: the most urgent first, of these the longest due. A lane that somebody is changing is left for the next time.
-- A head with the token of a lease whose time is up has been attempted, and may have reached the server.
CREATE FUNCTION {schema}.lease(p_owner uuid, p_queue text, p_origin text, p_limit integer, p_duration bigint)
RETURNS SETOF {schema}.report LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    v_left integer := p_limit;
    v_band bigint;
    l {schema}.lane;
BEGIN
    FOR v_band IN SELECT * FROM generate_series(-1, 1) LOOP
        EXIT WHEN v_left <= 0;
        FOR l IN
            WITH due AS MATERIALIZED (
                SELECT queue, name, visible_at FROM {schema}.lane
                WHERE queue = p_queue AND origin = p_origin AND (head_position + 576460752303423488) >> 60 = v_band AND visible_at <= v_now
                ORDER BY visible_at LIMIT v_left
                FOR UPDATE SKIP LOCKED),
            claimed AS (
                UPDATE {schema}.lane SET
                    attempts = attempts + (lease_token IS NOT NULL)::integer,
                    visible_at = v_now + p_duration,
                    wait = 0,
                    lease_owner = p_owner,
                    lease_token = gen_random_uuid(),
                    leased_behind = NULL
                FROM due WHERE lane.queue = due.queue AND lane.name = due.name
                RETURNING lane, due.visible_at AS due_at)
            SELECT (c.lane).* FROM claimed AS c ORDER BY c.due_at, (c.lane).head_position
        LOOP
            -- A statement of its own: a lane may have got a head that is younger than the claim.
            RETURN QUERY SELECT * FROM {schema}.leased(l);
            v_left := v_left - 1;
        END LOOP;
    END LOOP;
END
$$;

-- Leases the head of a lane, if it is due or waits for its backoff only.
CREATE FUNCTION {schema}.lease_lane(p_owner uuid, p_queue text, p_lane text, p_duration bigint)
RETURNS SETOF {schema}.report LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    l {schema}.lane;
BEGIN
    UPDATE {schema}.lane SET
        attempts = attempts + (lease_token IS NOT NULL)::integer,
        visible_at = v_now + p_duration,
        wait = 0,
        lease_owner = p_owner,
        lease_token = gen_random_uuid(),
        leased_behind = NULL
    WHERE queue = p_queue AND name = p_lane AND (visible_at <= v_now OR wait = 1)
    RETURNING * INTO l;
    IF FOUND THEN
        RETURN QUERY SELECT * FROM {schema}.leased(l);
    END IF;
END
$$;

-- Whichever of those that were leased together is still there.
CREATE FUNCTION {schema}.renew(p_owner uuid, p_token uuid, p_duration bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {schema}.lane SET visible_at = {schema}.now_ms() + p_duration WHERE lease_token = p_token AND lease_owner = p_owner;
    RETURN FOUND;
END
$$;

-- The lane under a lease, locked; nulls when the lease was lost.
CREATE FUNCTION {schema}.lock_leased(p_owner uuid, p_id bigint, p_token uuid) RETURNS {schema}.lane LANGUAGE sql AS $$
    SELECT * FROM {schema}.lane WHERE head_id = p_id AND lease_token = p_token AND lease_owner = p_owner FOR UPDATE
$$;

-- Removes the head of a lane and those behind it that were leased with it. The arrays from p_status_codes on: the replies for the
-- receipts; a null status writes none, or where another entry waits for it, one that says no more than that it was delivered. p_rest: the
-- next one of those that were leased together, which heads the lane from now on and stays leased; null ends the lease.
CREATE FUNCTION {schema}.complete(
    p_owner uuid, p_ids bigint[], p_token uuid,
    p_status_codes integer[], p_headers text[], p_bodies bytea[], p_are_whole boolean[], p_rest bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    v_count integer := cardinality(p_ids);
    l {schema}.lane;
    e {schema}.entry;
    v_behind bigint[];
BEGIN
    l := {schema}.lock_leased(p_owner, p_ids[1], p_token);
    v_behind := coalesce(l.leased_behind, '{}');
    IF l.queue IS NULL OR v_behind[:v_count - 1] <> p_ids[2:] OR p_rest IS NOT NULL AND p_rest IS DISTINCT FROM v_behind[v_count] THEN
        RETURN false;
    END IF;
    SELECT * INTO e FROM {schema}.entry WHERE id = p_rest;
    PERFORM {schema}.take_out(l.queue, l.name, p_ids, e.id IS NULL, false, v_now);
    IF e.id IS NOT NULL THEN
        UPDATE {schema}.lane SET
            (head_id, head_position, origin, attempts, last_error, leased_behind)
            = (e.id, e.position, e.origin, e.attempts, e.last_error, v_behind[v_count + 1:])
        WHERE queue = l.queue AND name = l.name;
    END IF;
    PERFORM {schema}.note_receipt(d.id, l.queue, 1, v_now, NULL, NULL, (d.status_code, d.headers, d.body, d.is_whole)::{schema}.reply)
    FROM unnest(p_ids, p_status_codes, p_headers, p_bodies, p_are_whole) AS d (id, status_code, headers, body, is_whole)
    -- One by one: the server would rather read all prerequisites at once.
    WHERE d.status_code IS NOT NULL OR EXISTS (SELECT FROM {schema}.entry WHERE prerequisite = d.id OFFSET 0);
    RETURN true;
END
$$;

-- The entries behind the head of a lane that may be sent with it: before the first one that is addressed elsewhere, has a prerequisite or
-- was asked to wait. Step by step, so that none beyond that is read.
CREATE FUNCTION {schema}.sendable_behind(l {schema}.lane, p_limit integer, p_bytes bigint, p_now bigint) RETURNS bigint[]
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (
        WITH RECURSIVE run AS (
            SELECT id, position, body_length AS bytes, 1 AS number FROM {schema}.entry WHERE id = l.head_id
            UNION ALL
            SELECT e.id, e.position, run.bytes + e.body_length, run.number + 1
            FROM run CROSS JOIN LATERAL (
                SELECT * FROM {schema}.entry
                WHERE entry.queue = l.queue AND entry.lane = l.name AND entry.position > run.position
                ORDER BY entry.position LIMIT 1) AS e
            WHERE run.number < p_limit AND run.bytes + e.body_length <= p_bytes
                AND e.origin = l.origin AND e.prerequisite IS NULL AND NOT (e.asked_by_server AND e.not_before > p_now))
        SELECT array_agg(id ORDER BY number) FROM run WHERE number > 1);
END
$$;

-- Completes, and leases the next head of the lane, with those behind it, if it is due and addressed to p_origin and the queue is not
-- paused. Tells of what it leased, or that it completed; nothing when the lease was lost. p_next_token: the caller's own, so that a call
-- whose outcome was not heard can be made again.
CREATE FUNCTION {schema}.complete_and_lease_next(
    p_owner uuid, p_ids bigint[], p_token uuid,
    p_status_codes integer[], p_headers text[], p_bodies bytea[], p_are_whole boolean[],
    p_next_token uuid, p_origin text, p_limit integer, p_bytes bigint, p_duration bigint)
RETURNS SETOF {schema}.report LANGUAGE plpgsql AS $$
DECLARE
    l {schema}.lane := {schema}.lock_leased(p_owner, p_ids[1], p_token);
    v_now bigint;
BEGIN
    IF NOT {schema}.complete(p_owner, p_ids, p_token, p_status_codes, p_headers, p_bodies, p_are_whole, NULL) THEN
        FOR l IN SELECT * FROM {schema}.lane WHERE lease_token = p_next_token LOOP
            RETURN QUERY SELECT * FROM {schema}.leased(l);
        END LOOP;
        RETURN;
    END IF;
    RETURN QUERY SELECT 4, p_ids[1], l.queue, NULL::integer, NULL::text, NULL::integer, NULL::integer, NULL::bigint, NULL::uuid,
        NULL::bigint, NULL::bigint, NULL::bigint[], NULL::integer[], NULL::text[], NULL::{schema}.request;
    v_now := {schema}.now_ms();
    SELECT * INTO l FROM {schema}.lane
    WHERE queue = l.queue AND name = l.name AND origin = p_origin AND visible_at <= v_now
        AND NOT EXISTS (SELECT FROM {schema}.pause WHERE pause.queue = l.queue);
    IF FOUND THEN
        UPDATE {schema}.lane SET
            visible_at = v_now + p_duration,
            wait = 0,
            lease_owner = p_owner,
            lease_token = p_next_token,
            leased_behind = {schema}.sendable_behind(l, p_limit, p_bytes, v_now)
        WHERE queue = l.queue AND name = l.name
        RETURNING * INTO l;
        RETURN QUERY SELECT * FROM {schema}.leased(l);
    END IF;
END
$$;

CREATE FUNCTION {schema}.reschedule(
    p_owner uuid, p_id bigint, p_token uuid, p_delay bigint, p_only_time boolean, p_counts boolean, p_error text, p_status integer,
    p_is_attempt boolean, p_leaves_lane boolean)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    l {schema}.lane;
    e {schema}.entry;
    v_suffix text := '#' || p_id;
BEGIN
    l := {schema}.lock_leased(p_owner, p_id, p_token);
    IF l.queue IS NULL THEN
        RETURN false;
    END IF;
    IF p_is_attempt THEN
        PERFORM {schema}.note_attempt(p_id, v_now, p_status, p_error);
    END IF;
    l.attempts := l.attempts + p_counts::integer;
    l.last_error := coalesce(p_error, l.last_error);
    l.visible_at := v_now + p_delay;
    l.wait := CASE WHEN p_delay <= 0 THEN 0 WHEN p_only_time THEN 2 ELSE 1 END;
    UPDATE {schema}.lane SET
        (attempts, last_error, visible_at, wait, lease_owner, lease_token, leased_behind)
        = (l.attempts, l.last_error, l.visible_at, l.wait, NULL, NULL, NULL)
    WHERE queue = l.queue AND name = l.name;
    IF p_leaves_lane AND right(l.name, length(v_suffix)) <> v_suffix THEN
        UPDATE {schema}.entry SET
            (lane, lane_name, edits, attempts, last_error, not_before, asked_by_server)
            = (l.name || v_suffix, lane_name || v_suffix, edits + 1, l.attempts, l.last_error, l.visible_at, p_only_time)
        WHERE id = p_id RETURNING * INTO e;
        PERFORM {schema}.promote(l.queue, l.name, v_now);
        IF e.id IS NOT NULL THEN
            PERFORM {schema}.enter(e, false, v_now);
        END IF;
    -- An entry that came to stand before the head while that was being sent goes first from now on.
    ELSIF (SELECT position FROM {schema}.entry WHERE queue = l.queue AND lane = l.name ORDER BY position LIMIT 1) < l.head_position THEN
        UPDATE {schema}.entry SET
            (attempts, last_error, not_before, asked_by_server) = (l.attempts, l.last_error, l.visible_at, l.wait = 2)
        WHERE id = p_id;
        PERFORM {schema}.promote(l.queue, l.name, v_now);
    END IF;
    RETURN true;
END
$$;

CREATE FUNCTION {schema}.bury(
    p_owner uuid, p_id bigint, p_token uuid, p_reason integer, p_error text, p_reply {schema}.reply, p_is_kept boolean,
    p_is_of_attempt boolean)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    l {schema}.lane;
BEGIN
    l := {schema}.lock_leased(p_owner, p_id, p_token);
    IF l.queue IS NULL THEN
        RETURN false;
    END IF;
    PERFORM {schema}.bury_entry(
        l.queue, l.name, p_id, true, l.attempts, l.last_error, p_reason, p_error, p_reply, p_is_kept, p_is_of_attempt, {schema}.now_ms());
    RETURN true;
END
$$;

-- Planned for its limit each time: for one that is not known the server would rather sort the queue.
CREATE FUNCTION {schema}.expire(p_queue text, p_limit integer, p_is_kept boolean) RETURNS SETOF {schema}.report
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    v_sent bigint[] := {schema}.sent(p_queue, v_now);
    v_ids bigint[];
    v_id bigint;
BEGIN
    v_ids := ARRAY(
        SELECT id FROM {schema}.entry WHERE queue = p_queue AND expires_at < v_now AND id <> ALL (v_sent)
        ORDER BY expires_at, id LIMIT p_limit);
    PERFORM {schema}.lock_lanes_of(v_ids);
    FOREACH v_id IN ARRAY v_ids LOOP
        RETURN QUERY SELECT * FROM {schema}.drop_idle(p_queue, v_id, 2, p_is_kept, v_now);
    END LOOP;
END
$$;

-- Told to use the index: the server takes a time that it does not know for one that a third of the entries are past.
CREATE FUNCTION {schema}.count_expired(p_queue text) RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
BEGIN
    RETURN (SELECT count(*) FROM {schema}.entry WHERE queue = p_queue AND expires_at < v_now);
END
$$;

CREATE FUNCTION {schema}.clear_backoff(p_queue text, p_only_endless boolean) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    -- The last moment that is not never, as the library reads it.
    v_from bigint := CASE WHEN p_only_endless THEN 253402300799998 ELSE v_now END;
    v_cleared integer;
BEGIN
    WITH waiting AS MATERIALIZED (
        SELECT queue, name FROM {schema}.lane WHERE queue = p_queue AND wait = 1 AND visible_at > v_from
        ORDER BY queue, name FOR UPDATE)
    UPDATE {schema}.lane SET visible_at = v_now, wait = 0 FROM waiting WHERE lane.queue = waiting.queue AND lane.name = waiting.name;
    GET DIAGNOSTICS v_cleared = ROW_COUNT;
    RETURN v_cleared;
END
$$;

-- What may be done with an entry by hand: 0 all, 1 there is none, 2 it is being sent, 3 it is not the one that was read.
CREATE FUNCTION {schema}.may_change(e {schema}.entry, l {schema}.lane, p_revision bigint, p_now bigint) RETURNS integer LANGUAGE sql AS $$
    SELECT CASE
        WHEN e.id IS NULL THEN 1
        WHEN {schema}.is_sent(l, e.id, p_now) THEN 2
        WHEN p_revision <> (e.edits::bigint << 32)
            + CASE WHEN l.head_id = e.id THEN l.attempts + (l.lease_token IS NOT NULL)::integer ELSE e.attempts END THEN 3
        ELSE 0 END
$$;

CREATE FUNCTION {schema}.remove(p_queue text, p_id bigint, p_revision bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    e {schema}.entry;
    l {schema}.lane;
    v_verdict integer;
BEGIN
    e := {schema}.lock_entry(p_queue, p_id);
    SELECT * INTO l FROM {schema}.lane WHERE queue = e.queue AND name = e.lane;
    v_verdict := {schema}.may_change(e, l, p_revision, v_now);
    IF v_verdict = 0 THEN
        PERFORM {schema}.void_lease_of(l, p_id);
        PERFORM {schema}.take_out(e.queue, e.lane, ARRAY[p_id], l.head_id = p_id, false, v_now);
    END IF;
    RETURN v_verdict;
END
$$;

CREATE FUNCTION {schema}.replace(
    p_id bigint, p_revision bigint, r {schema}.request, p_has_body boolean, p_inline bytea, p_inline_checksum bigint,
    p_attempts integer, p_last_error text, p_delay bigint)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    e {schema}.entry;
    l {schema}.lane;
    n {schema}.entry;
    v_verdict integer;
    v_not_before bigint;
    v_blocked boolean;
BEGIN
    e := {schema}.lock_entry(r.queue, p_id);
    SELECT * INTO l FROM {schema}.lane WHERE queue = e.queue AND name = e.lane;
    v_verdict := {schema}.may_change(e, l, p_revision, v_now);
    IF v_verdict <> 0 THEN
        RETURN v_verdict;
    END IF;
    IF l.head_id <> p_id THEN
        PERFORM {schema}.void_lease_of(l, p_id);
        l := NULL;
    END IF;
    IF r.prerequisite IS DISTINCT FROM e.prerequisite THEN
        PERFORM {schema}.require_before(r.queue, r.prerequisite, e.position);
    END IF;
    IF p_has_body THEN
        PERFORM {schema}.adopt_body(r.body_id, p_inline, p_inline_checksum);
        PERFORM {schema}.delete_body(e.body_id);
        PERFORM {schema}.count_in(e.queue, 0, 0, r.body_length - e.body_length);
    END IF;

    -- A wait that is asked for takes the place of a backoff, which may be cleared, and of a shorter one that was asked for.
    v_not_before := greatest(
        CASE
            WHEN l.wait = 2 THEN l.visible_at
            WHEN coalesce(l.wait, 3) = 3 AND e.asked_by_server THEN e.not_before
            ELSE 0 END,
        CASE WHEN p_delay > 0 THEN v_now + p_delay ELSE 0 END);
    UPDATE {schema}.entry SET
        (attempts, last_error, not_before, asked_by_server, edits, lane, made_at, expires_at, method, uri, origin, version,
            version_policy, headers, content_headers, metadata, traceparent, body_id, body_length, checksum, coalesce_key, prerequisite,
            lane_name, coalesce_name)
        = (p_attempts, p_last_error, v_not_before, v_not_before > 0, edits + 1, r.lane, r.made_at, r.expires_at, r.method, r.uri, r.origin,
            r.version, r.version_policy, r.headers, r.content_headers, r.metadata, r.traceparent, r.body_id, r.body_length, r.checksum,
            r.coalesce_key, r.prerequisite, r.lane_name, r.coalesce_name)
    WHERE id = p_id RETURNING * INTO n;
    IF n.lane <> e.lane THEN
        IF l.queue IS NOT NULL THEN
            PERFORM {schema}.promote(e.queue, e.lane, v_now);
        END IF;
        PERFORM {schema}.enter(n, false, v_now);
    ELSIF l.queue IS NOT NULL THEN
        v_blocked := {schema}.is_blocked(n.queue, n.prerequisite, n.position);
        UPDATE {schema}.lane SET
            origin = n.origin,
            visible_at = CASE
                WHEN v_blocked THEN 9223372036854775807
                WHEN wait = 3 THEN greatest(v_not_before, v_now)
                WHEN wait = 1 AND v_not_before > v_now THEN v_not_before
                ELSE greatest(visible_at, v_not_before) END,
            wait = CASE WHEN v_blocked THEN 3 WHEN v_not_before > v_now THEN 2 WHEN wait = 3 THEN 0 ELSE wait END,
            attempts = p_attempts,
            last_error = p_last_error,
            lease_owner = NULL,
            lease_token = NULL,
            leased_behind = NULL
        WHERE head_id = p_id;
    END IF;
    RETURN 0;
END
$$;

CREATE FUNCTION {schema}.clear(p_queue text, p_limit integer) RETURNS integer
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_sent bigint[] := {schema}.sent(p_queue, {schema}.now_ms());
    v_ids bigint[];
    v_id bigint;
    v_removed integer := 0;
BEGIN
    v_ids := ARRAY(
        SELECT id FROM {schema}.entry WHERE queue = p_queue AND id <> ALL (v_sent) ORDER BY position LIMIT p_limit);
    PERFORM {schema}.lock_lanes_of(v_ids);
    FOREACH v_id IN ARRAY v_ids LOOP
        v_removed := v_removed + ({schema}.remove(p_queue, v_id, NULL) = 0)::integer;
    END LOOP;
    RETURN v_removed;
END
$$;

-- p_before, p_after: the checksum of the dead letter that was read, and that of the entry it becomes.
CREATE FUNCTION {schema}.requeue(p_queue text, p_id bigint, p_expires_at bigint, p_before bigint, p_after bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    e {schema}.entry;
BEGIN
    DELETE FROM {schema}.dead_letter WHERE id = p_id AND queue = p_queue AND checksum = p_before
    RETURNING id, NULL, 0, NULL, v_now, false, 0, queue, lane, made_at, p_expires_at, method, uri, origin, version, version_policy,
        headers, content_headers, metadata, traceparent, body_id, body_length, p_after, NULL, prerequisite, priority,
        lane_name, NULL INTO e;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM {schema}.receipt WHERE id = p_id;
    PERFORM {schema}.count_in(p_queue, 0, -1, 0);
    PERFORM {schema}.insert_entry(e, false, v_now);

    -- Those that waited for it wait again, if it stands before them.
    UPDATE {schema}.lane SET visible_at = 9223372036854775807, wait = 3
    FROM {schema}.entry, {schema}.entry AS b
    WHERE entry.prerequisite = p_id AND b.id = p_id AND b.queue = entry.queue AND b.position < entry.position
        AND lane.head_id = entry.id AND lane.lease_token IS NULL;
    RETURN true;
END
$$;

CREATE FUNCTION {schema}.delete_dead_letter(p_queue text, p_id bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_body_id bigint;
BEGIN
    DELETE FROM {schema}.dead_letter WHERE id = p_id AND queue = p_queue RETURNING body_id INTO v_body_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM {schema}.delete_body(v_body_id);
    DELETE FROM {schema}.attempt WHERE entry_id = p_id;
    PERFORM {schema}.count_in(p_queue, 0, -1, 0);
    RETURN true;
END
$$;

CREATE FUNCTION {schema}.trim_dead_letters(p_queue text, p_died_before bigint, p_keep bigint, p_limit integer)
RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
    v_surplus bigint;
    v_index bigint := 0;
    d record;
BEGIN
    SELECT coalesce(sum(dead), 0) - p_keep INTO v_surplus FROM {schema}.tally WHERE queue = p_queue;
    FOR d IN SELECT id, died_at FROM {schema}.dead_letter WHERE queue = p_queue ORDER BY ordinal LIMIT p_limit LOOP
        EXIT WHEN d.died_at >= p_died_before AND v_index >= coalesce(v_surplus, 0);
        v_index := v_index + 1;
        IF {schema}.delete_dead_letter(p_queue, d.id) THEN
            RETURN NEXT d.id;
        END IF;
    END LOOP;
END
$$;

-- Forgets the oldest receipts of a queue, but for those that a live entry waits for.
CREATE FUNCTION {schema}.forget_receipts(p_queue text, p_before bigint, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_forgotten integer;
BEGIN
    DELETE FROM {schema}.receipt WHERE id = ANY (ARRAY(
        SELECT id FROM {schema}.receipt AS r
        WHERE queue = p_queue AND at < p_before AND NOT EXISTS (SELECT FROM {schema}.entry WHERE prerequisite = r.id)
        ORDER BY at LIMIT p_limit FOR UPDATE));
    GET DIAGNOSTICS v_forgotten = ROW_COUNT;
    RETURN v_forgotten;
END
$$;

CREATE FUNCTION {schema}.set_pause(p_queue text, p_cause integer, p_reason text, p_since bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_cause IS NULL THEN
        DELETE FROM {schema}.pause WHERE queue = p_queue;
        RETURN;
    END IF;
    INSERT INTO {schema}.pause VALUES (p_queue, p_cause, p_reason, p_since)
    ON CONFLICT (queue) DO UPDATE SET (cause, reason, since) = (p_cause, p_reason, p_since);
END
$$;

-- Takes over what owners hold that were not seen in time: the attempt counts, because it may have reached the server; what must not be
-- sent twice dies of reason 5.
CREATE FUNCTION {schema}.reclaim(p_owner uuid, p_error text) RETURNS SETOF {schema}.report LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.now_ms();
    v_owner uuid;
    v_id bigint;
    v_body_id bigint;
    h {schema}.held;
    e {schema}.entry;
BEGIN
    FOR v_owner IN SELECT id FROM {schema}.owner WHERE seen_until <= v_now AND id <> p_owner FOR UPDATE SKIP LOCKED LOOP
        FOR v_body_id IN DELETE FROM {schema}.body_draft WHERE owner = v_owner RETURNING body_id LOOP
            PERFORM {schema}.delete_body(v_body_id);
        END LOOP;
        FOR h IN SELECT * FROM {schema}.held WHERE owner = v_owner ORDER BY id LOOP
            DELETE FROM {schema}.held WHERE id = h.id;
            v_id := nextval('{schema}.id_block');
            e := ROW(v_id, h.position, 1, p_error, h.not_before, h.asked_by_server, 0, (h.request).*);
            PERFORM {schema}.note_attempt(v_id, v_now, NULL, p_error);
            RETURN QUERY SELECT (NOT h.repeatable)::integer, v_id, e.queue, 1, p_error, 0, 5, v_now, NULL::uuid,
                NULL::bigint, NULL::bigint, a.at, a.status_code, a.error, h.request FROM {schema}.history_of(v_id) AS a;
            IF h.repeatable THEN
                PERFORM {schema}.insert_entry(e, false, v_now);
            ELSE
                INSERT INTO {schema}.entry VALUES (e.*);
                PERFORM {schema}.count_in(e.queue, 1, 0, e.body_length);
                PERFORM {schema}.bury_entry(e.queue, e.lane, v_id, false, 1, p_error, 5, p_error, NULL, true, false, v_now);
            END IF;
        END LOOP;
        DELETE FROM {schema}.owner WHERE id = v_owner;
    END LOOP;
END
$$;
