-- Tasks and the ledger of tool calls. They are written by tool workers alone:
-- ledger row, effect, the person's next task_rev and the history row in one
-- transaction. They belong to the person, not to a conversation.

-- +goose Up

-- One row per person with tasks, locked by every write: it hands out the
-- person's task numbers and revisions without gaps.
CREATE TABLE task_owner (
    user_id      text COLLATE "C" PRIMARY KEY,
    next_task_id integer NOT NULL DEFAULT 1,
    task_rev     bigint  NOT NULL DEFAULT 0 -- the newest one given
);

CREATE TABLE task (
    user_id      text COLLATE "C" NOT NULL,
    task_id      integer     NOT NULL CHECK (task_id > 0),
    title        text        NOT NULL,
    description  text        NOT NULL DEFAULT '',
    due_on       date,
    status       text        NOT NULL CHECK (status IN ('open', 'completed')),
    deleted      boolean     NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    completed_at timestamptz,
    task_rev     bigint      NOT NULL,
    PRIMARY KEY (user_id, task_id)
);

-- The task after each write, so that a replay can show the tasks as of a rev.
CREATE TABLE task_history (
    user_id         text COLLATE "C" NOT NULL,
    task_rev        bigint      NOT NULL,
    task_id         integer     NOT NULL,
    tool            text        NOT NULL,
    by              text        NOT NULL,
    call_id         text COLLATE "C" NOT NULL,
    conversation_id text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C", -- null for a call made by hand
    at              timestamptz NOT NULL,
    row             jsonb       NOT NULL, -- the Task as clients see it
    PRIMARY KEY (user_id, task_rev)
);
CREATE INDEX task_history_task ON task_history (user_id, task_id, task_rev);

-- Every answer about a call is first a row here. Results are kept as bytes: a
-- repeated call gets the very same answer, and jsonb would reorder it and refuse U+0000.
CREATE TABLE tool_call (
    user_id         text COLLATE "C" NOT NULL,
    call_id         text COLLATE "C" NOT NULL,
    server          text        NOT NULL,
    name            text        NOT NULL,
    args_hash       bytea, -- null = any: a revoked call
    by              text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('intent', 'done', 'revoked')),
    ok              boolean,
    result          bytea,
    error_code      text,
    error_message   text,
    duration_ms     bigint      NOT NULL DEFAULT 0,
    conversation_id text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C",
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, call_id)
);

-- +goose Down
DROP TABLE tool_call, task_history, task, task_owner;
