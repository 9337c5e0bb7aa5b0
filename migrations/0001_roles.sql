-- The role that serves people may use the tables which the owner makes from
-- here on. It owns none, so row level security binds it. Who made the roles is
-- not this file's business: a private cluster, compose, or an operator; with
-- a single role there is nothing to grant.

-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'parley_app') AND current_user <> 'parley_app' THEN
        GRANT USAGE ON SCHEMA public TO parley_app;
        ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO parley_app;
        ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO parley_app;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'parley_app') AND current_user <> 'parley_app' THEN
        ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM parley_app;
        ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM parley_app;
    END IF;
END
$$;
-- +goose StatementEnd
