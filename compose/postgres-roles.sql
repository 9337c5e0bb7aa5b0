-- Run once by the postgres image, as superuser, on an empty data directory: the
-- owner, who migrates, and the role of everything that serves people, which
-- cannot pass by row level security.
\getenv owner_password POSTGRES_OWNER_PASSWORD
\getenv app_password POSTGRES_APP_PASSWORD

CREATE ROLE parley_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION PASSWORD :'owner_password';
CREATE ROLE parley_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION PASSWORD :'app_password';

REVOKE ALL ON DATABASE parley FROM PUBLIC;
GRANT CONNECT ON DATABASE parley TO parley_app;
GRANT ALL ON DATABASE parley TO parley_owner;
ALTER SCHEMA public OWNER TO parley_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
