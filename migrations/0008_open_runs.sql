-- Finds the conversations in which a run is not over, without looking at the
-- others. Their rows move anyway when a run begins or ends: so does active_at,
-- which is indexed already.

-- +goose Up
CREATE INDEX conversation_open ON conversation (active_at) WHERE open_runs <> '{}';

-- +goose Down
DROP INDEX conversation_open;
