-- The archive: every commit of the log, byte for byte, in the order of its
-- conversation. Two tables, so that erasure can take the content (payload and
-- salt) and leave order, counts and hashes, from which nothing can be guessed
-- back. The primary keys begin with the person, here and everywhere: one
-- person's ids can never meet another's.
--
-- Ids are COLLATE "C": they are ASCII, and a page must sort alike on every
-- server.

-- +goose Up
CREATE TABLE archive (
    user_id         text COLLATE "C" NOT NULL,
    conversation_id text COLLATE "C" NOT NULL,
    n               bigint      NOT NULL CHECK (n > 0),
    commit_id       text        NOT NULL,
    cause           text        NOT NULL,
    by              text        NOT NULL,
    types           text[]      NOT NULL,
    time            timestamptz NOT NULL,
    stream_seq      bigint      NOT NULL,
    size            integer     NOT NULL,
    hash            bytea       NOT NULL, -- SHA-256 of salt, then payload
    PRIMARY KEY (user_id, conversation_id, n)
);

-- For trimming, which walks the archive in the log's order.
CREATE INDEX archive_stream_seq ON archive (stream_seq);

CREATE TABLE archive_payload (
    user_id         text COLLATE "C" NOT NULL,
    conversation_id text COLLATE "C" NOT NULL,
    n               bigint NOT NULL,
    payload         bytea  NOT NULL, -- the commit as it was published
    salt            bytea  NOT NULL,
    PRIMARY KEY (user_id, conversation_id, n)
);

-- What the log held and the archive could not take: undecodable, of another
-- conversation than its subject says, out of order, or other than what is
-- archived at its place. Kept whole, for a person to look at. Whose it is may be
-- unknown, so the key is its place in the stream; the subject has the person's hash.
CREATE TABLE archive_rejected (
    stream      text        NOT NULL,
    incarnation timestamptz NOT NULL,
    stream_seq  bigint      NOT NULL,
    subject     bytea       NOT NULL,
    reason      text        NOT NULL,
    payload     bytea       NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, incarnation, stream_seq)
);

-- How far a stream is recorded. Every batch moves it from the place its writer
-- knew, in the batch's transaction: two recorders cannot both write.
CREATE TABLE checkpoint (
    stream      text        PRIMARY KEY,
    incarnation timestamptz NOT NULL, -- when the stream was made
    seq         bigint      NOT NULL,
    commit_id   text        NOT NULL DEFAULT '', -- of the message at seq, to notice a stream that went back
    trimmed     bigint      NOT NULL DEFAULT 0 -- the stream is trimmed of what came before the commits up to here
);

-- Who records a stream at the moment. It spares a second recorder useless work;
-- the checkpoint is what keeps the two apart.
CREATE TABLE recorder_lease (
    stream     text        PRIMARY KEY,
    holder     text        NOT NULL,
    expires_at timestamptz NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION archive_is_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %: the archive is insert-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON archive
    FOR EACH STATEMENT EXECUTE FUNCTION archive_is_insert_only();

-- Payloads may be deleted by an eraser, never changed.
CREATE TRIGGER insert_only BEFORE UPDATE OR TRUNCATE ON archive_payload
    FOR EACH STATEMENT EXECUTE FUNCTION archive_is_insert_only();

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'parley_app') AND current_user <> 'parley_app' THEN
        REVOKE UPDATE, DELETE, TRUNCATE ON archive, archive_payload, archive_rejected FROM parley_app;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE recorder_lease, checkpoint, archive_rejected, archive_payload, archive;
DROP FUNCTION archive_is_insert_only();
