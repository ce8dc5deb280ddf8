-- depends: 0002-queue
-- What was built: attempts, logs, wheels. Written once, by recording, and never changed.

CREATE TABLE builds (
    build_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id      bigint NOT NULL REFERENCES jobs,
    attempt     integer NOT NULL CHECK (attempt >= 1),
    builder_id  bigint NOT NULL REFERENCES builders,
    status      text NOT NULL CHECK (status IN ('built', 'failed')),
    reason      text,
    started_at  timestamptz,
    finished_at timestamptz NOT NULL,
    duration_s  double precision CHECK (duration_s >= 0),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (job_id, attempt),
    CONSTRAINT only_failed_has_a_reason CHECK ((status = 'failed') = (reason IS NOT NULL)),
    CONSTRAINT ends_after_it_starts CHECK (started_at <= finished_at)
);
COMMENT ON TABLE builds IS 'One attempt at a job. Job and attempt are its identity: nothing is recorded twice';
COMMENT ON COLUMN builds.started_at IS 'By the clock of the builder; null for a builder that was lost';
CREATE INDEX builds_recorded ON builds (recorded_at);

CREATE TABLE build_logs (
    build_id   bigint PRIMARY KEY REFERENCES builds,
    log        bytea NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0)
);
COMMENT ON COLUMN build_logs.log IS 'gzip of UTF-8 text';
COMMENT ON COLUMN build_logs.size_bytes IS 'Of the text';
ALTER TABLE build_logs ALTER COLUMN log SET STORAGE EXTERNAL;

CREATE TABLE files (
    file_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    build_id        bigint NOT NULL UNIQUE REFERENCES builds,
    version_id      bigint NOT NULL REFERENCES versions,
    filename        file_name NOT NULL UNIQUE CHECK (filename LIKE '%.whl'),
    size_bytes      bigint NOT NULL CHECK (size_bytes > 0),
    sha256          sha256_hex NOT NULL,
    metadata_sha256 sha256_hex NOT NULL,
    requires_python text,
    serves_every_platform boolean NOT NULL DEFAULT false,
    uploaded_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE files IS 'Wheels in the store, at PROJECT/FILENAME with its METADATA beside it (PEP 658)';
COMMENT ON COLUMN files.serves_every_platform IS 'Its tags say so and it holds no library: it stands in for builds for other targets';
CREATE INDEX files_version ON files (version_id);

CREATE TABLE file_dependencies (
    file_id    bigint NOT NULL REFERENCES files,
    tool       text NOT NULL CHECK (tool IN ('apt', 'pip')),
    dependency text NOT NULL CHECK (dependency ~ '^[A-Za-z0-9][A-Za-z0-9+._:-]*$' AND length(dependency) <= 200),
    PRIMARY KEY (file_id, tool, dependency)
);
COMMENT ON TABLE file_dependencies IS 'What must be installed beside the wheel: apt packages of its shared libraries';
