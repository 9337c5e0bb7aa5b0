-- How far a rebuild of the read models has got, so that one which died goes on
-- where it was. Without a row none is under way.

-- +goose Up
CREATE TABLE rebuild (
    one             boolean PRIMARY KEY DEFAULT true CHECK (one), -- row, no more
    user_id         text COLLATE "C" NOT NULL DEFAULT '', -- the last conversation that is done
    conversation_id text COLLATE "C" NOT NULL DEFAULT '',
    conversations   bigint      NOT NULL DEFAULT 0,
    started_at      timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE rebuild;
