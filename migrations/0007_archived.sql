-- Conversations can be put away, and those that are pinned stand before the others,
-- on the first page also if nobody has spoken in them for long. The release
-- before writes rows without the new column, and knows no event that sets it.

-- +goose Up
ALTER TABLE conversation ADD COLUMN archived boolean NOT NULL DEFAULT false;

CREATE INDEX conversation_listed ON conversation (user_id, archived, pinned DESC, active_at DESC, conversation_id DESC)
    WHERE NOT deleted AND conversation_id <> 'home';

-- The release before sorts what this one did: the conversations of one person.
DROP INDEX conversation_recent;

-- +goose Down
CREATE INDEX conversation_recent ON conversation (user_id, active_at DESC, conversation_id DESC)
    WHERE NOT deleted AND conversation_id <> 'home';
DROP INDEX conversation_listed;
ALTER TABLE conversation DROP COLUMN archived;
