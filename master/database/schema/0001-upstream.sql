-- What PyPI says: projects, their versions, their files. Written by sync alone.

CREATE DOMAIN project_name AS text
    CHECK (VALUE ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(VALUE) <= 200);
COMMENT ON DOMAIN project_name IS 'A normalised name (PEP 503); the spelling of its author is projects.display_name';

CREATE DOMAIN version_text AS text
    CHECK (VALUE ~ '^([0-9]+!)?[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?(\+[a-z0-9]+(\.[a-z0-9]+)*)?$'
           AND length(VALUE) <= 200);
COMMENT ON DOMAIN version_text IS 'A version as PEP 440 normalises it, so that one version has one spelling';

CREATE DOMAIN sha256_hex AS text CHECK (VALUE ~ '^[0-9a-f]{64}$');

CREATE DOMAIN file_name AS text
    CHECK (VALUE ~ '^[A-Za-z0-9][A-Za-z0-9._+!-]*$' AND length(VALUE) <= 255);
COMMENT ON DOMAIN file_name IS 'A name that is safe as a path component and in a URL: never a folder, never hidden';

CREATE TABLE projects (
    project_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         project_name NOT NULL UNIQUE,
    display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 200),
    followed     boolean NOT NULL DEFAULT true,
    synced_at    timestamptz,
    dirty_since  timestamptz
);
COMMENT ON COLUMN projects.followed IS 'In the list that every sync reads';
COMMENT ON COLUMN projects.dirty_since IS 'Its pages must be rendered and carried again; null when the site shows all we know';
CREATE INDEX projects_dirty ON projects (dirty_since) WHERE dirty_since IS NOT NULL;

CREATE TABLE versions (
    version_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id      bigint NOT NULL REFERENCES projects,
    version         version_text NOT NULL,
    released_at     timestamptz,
    yanked          boolean NOT NULL DEFAULT false,
    yanked_reason   text,
    requires_python text,
    present         boolean NOT NULL DEFAULT true,
    UNIQUE (project_id, version),
    CONSTRAINT only_a_yanked_version_has_a_reason CHECK (yanked OR yanked_reason IS NULL)
);
COMMENT ON COLUMN versions.released_at IS 'When its first file was uploaded; null where the index does not say';
COMMENT ON COLUMN versions.yanked IS 'All of its files are yanked (PEP 592)';
COMMENT ON COLUMN versions.present IS 'The index still has files of it';

CREATE TABLE upstream_files (
    upstream_file_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_id       bigint NOT NULL REFERENCES versions,
    filename         file_name NOT NULL UNIQUE,
    kind             text NOT NULL CHECK (kind IN ('sdist', 'wheel')),
    url              text NOT NULL CHECK (url ~ '^https?://[^[:space:]]+$'),
    sha256           sha256_hex,
    size_bytes       bigint CHECK (size_bytes >= 0),
    uploaded_at      timestamptz,
    yanked           boolean NOT NULL DEFAULT false,
    requires_python  text,
    present          boolean NOT NULL DEFAULT true,
    UNIQUE (upstream_file_id, version_id, kind)
);
COMMENT ON COLUMN upstream_files.sha256 IS 'Null where the index gives none; such a file is never built';
CREATE INDEX upstream_files_version ON upstream_files (version_id);

CREATE TABLE sync_state (
    key        text PRIMARY KEY CHECK (key ~ '^[a-z][a-z_]*$'),
    value      text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sync_state IS 'One value a key: last_sync, last_sync_error, last_publish, last_round, claims_paused';
