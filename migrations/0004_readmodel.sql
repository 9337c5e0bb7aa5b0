-- Read models: what the fold of a conversation's commits gives, as rows. They
-- can be dropped and rebuilt from the archive at any time.
--
-- A body is the fold's own JSON as bytes, not jsonb: readers get what the fold
-- has, to the byte, and U+0000 in a text is no error. The columns beside it are
-- for finding and listing.

-- +goose Up
CREATE TABLE conversation (
    user_id         text COLLATE "C" NOT NULL,
    conversation_id text COLLATE "C" NOT NULL,
    n               bigint      NOT NULL, -- the last commit that is in the row
    title           text        NOT NULL,
    title_by        text        NOT NULL,
    pinned          boolean     NOT NULL,
    deleted         boolean     NOT NULL,
    read_n          bigint      NOT NULL,
    status          text        NOT NULL, -- 'idle', or that of the active or the next queued run
    last_text       text        NOT NULL, -- the beginning of the newest text
    created_at      timestamptz NOT NULL,
    active_at       timestamptz NOT NULL, -- when it was last spoken in; reading or renaming does not move it
    runs            integer     NOT NULL,
    tip             text COLLATE "C" NOT NULL, -- the newest run, the end of the current branch
    open_runs       text[] COLLATE "C" NOT NULL, -- the runs that are not over
    body            bytea       NOT NULL, -- events.Conversation without its runs
    PRIMARY KEY (user_id, conversation_id)
) WITH (fillfactor = 80);

CREATE INDEX conversation_recent ON conversation (user_id, active_at DESC, conversation_id DESC)
    WHERE NOT deleted AND conversation_id <> 'home';

-- A person's message and the run that answers it. Nothing that changes is
-- indexed, so updates stay on their page.
CREATE TABLE run (
    user_id         text COLLATE "C" NOT NULL,
    conversation_id text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C" NOT NULL,
    pos             integer     NOT NULL, -- place among the conversation's runs
    n               bigint      NOT NULL, -- the commit that accepted the message
    parent_id       text COLLATE "C" NOT NULL, -- '' for the first of a branch
    message_id      text COLLATE "C" NOT NULL,
    status          text        NOT NULL,
    model           text        NOT NULL,
    input_tokens    bigint      NOT NULL,
    output_tokens   bigint      NOT NULL,
    estimated       boolean     NOT NULL,
    accepted_at     timestamptz NOT NULL,
    body            bytea       NOT NULL, -- events.Run
    PRIMARY KEY (user_id, conversation_id, run_id)
) WITH (fillfactor = 70);

CREATE INDEX run_id ON run (user_id, run_id);
CREATE INDEX run_message ON run (user_id, message_id);
CREATE INDEX run_accepted ON run (user_id, accepted_at);

-- Words to find conversations by: one row for the title (run_id ''), one for
-- each run. Apart from run, whose row is written with every commit; a row here
-- is written when a message comes and when its answer is done.
CREATE TABLE conversation_words (
    user_id         text COLLATE "C" NOT NULL,
    conversation_id text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C" NOT NULL,
    words           tsvector NOT NULL,
    PRIMARY KEY (user_id, conversation_id, run_id)
);

CREATE INDEX conversation_words_words ON conversation_words USING gin (words);

-- +goose Down
DROP TABLE conversation_words, run, conversation;
