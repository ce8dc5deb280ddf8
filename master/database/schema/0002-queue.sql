-- depends: 0001-upstream
-- What is to be built, for what, and who holds it.

CREATE TABLE targets (
    target_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9]*$'),
    python_version  text NOT NULL CHECK (python_version ~ '^[0-9]+\.[0-9]+$'),
    interpreter_tag text NOT NULL CHECK (interpreter_tag ~ '^[a-z0-9]+$'),
    abi_tag         text NOT NULL CHECK (abi_tag ~ '^[a-z0-9]+$'),
    platform_tag    text NOT NULL CHECK (platform_tag ~ '^[a-z0-9_]+$'),
    active          boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE targets IS 'Release + Python + ABI + platform tag, named after the release (PEP 425)';
COMMENT ON COLUMN targets.active IS 'Gets jobs; an inactive target keeps its wheels';

CREATE TABLE skips (
    skip_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id bigint NOT NULL REFERENCES projects,
    version_id bigint REFERENCES versions,
    target_id  bigint REFERENCES targets,
    reason     text NOT NULL CHECK (reason <> ''),
    UNIQUE NULLS NOT DISTINCT (project_id, version_id, target_id)
);
COMMENT ON TABLE skips IS 'Never to be built; a null version or target stands for every one';

CREATE TABLE builders (
    builder_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]*$' AND length(name) <= 200),
    target_id       bigint NOT NULL REFERENCES targets,
    active          boolean NOT NULL DEFAULT true,
    last_seen_at    timestamptz,
    missing_since   timestamptz,
    next_contact_at timestamptz NOT NULL DEFAULT '-infinity',
    report          jsonb,
    refuses         text CHECK (refuses <> ''),
    UNIQUE (builder_id, target_id)
);
COMMENT ON COLUMN builders.active IS 'In the inventory that the rounds use';
COMMENT ON COLUMN builders.report IS 'What it said last, untrusted';
COMMENT ON COLUMN builders.refuses IS 'Why it takes no jobs; null when it takes them';

CREATE TABLE jobs (
    job_id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_id       bigint NOT NULL REFERENCES versions,
    target_id        bigint NOT NULL REFERENCES targets,
    upstream_file_id bigint NOT NULL,
    sdist            text NOT NULL GENERATED ALWAYS AS ('sdist') STORED,
    state            text NOT NULL DEFAULT 'pending'
                     CHECK (state IN ('pending', 'leased', 'built', 'failed', 'skipped')),
    priority         integer NOT NULL DEFAULT 0,
    attempt          integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    lost_count       integer NOT NULL DEFAULT 0 CHECK (lost_count BETWEEN 0 AND 3),
    builder_id       bigint,
    leased_at        timestamptz,
    handed_at        timestamptz,
    revoking         boolean NOT NULL DEFAULT false,
    queued_at        timestamptz NOT NULL DEFAULT now(),
    finished_at      timestamptz,
    reason           text,
    UNIQUE (version_id, target_id),
    CONSTRAINT builds_an_sdist_of_its_own_version
        FOREIGN KEY (upstream_file_id, version_id, sdist)
        REFERENCES upstream_files (upstream_file_id, version_id, kind),
    CONSTRAINT leased_to_a_builder_of_its_own_target
        FOREIGN KEY (builder_id, target_id) REFERENCES builders (builder_id, target_id),
    CONSTRAINT leased_is_leased_to_someone
        CHECK ((state = 'leased') = (builder_id IS NOT NULL)
           AND (state = 'leased') = (leased_at IS NOT NULL)),
    CONSTRAINT only_a_lease_is_handed_over_or_revoked
        CHECK (state = 'leased' OR (handed_at IS NULL AND NOT revoking)),
    CONSTRAINT a_lease_is_an_attempt CHECK (state <> 'leased' OR attempt >= 1),
    CONSTRAINT done_is_finished
        CHECK ((state IN ('built', 'failed', 'skipped')) = (finished_at IS NOT NULL)),
    CONSTRAINT only_failed_and_skipped_have_a_reason
        CHECK ((state IN ('failed', 'skipped')) = (reason IS NOT NULL))
);
COMMENT ON TABLE jobs IS 'One version to build for one target: pending, leased, or done';
COMMENT ON COLUMN jobs.attempt IS 'Counts leases; a result of an attempt that is not the current one is refused';
COMMENT ON COLUMN jobs.lost_count IS 'How often its builder lost it; at three it fails, so that poison does not circle';
COMMENT ON COLUMN jobs.handed_at IS 'Since when its builder has shown that it holds it';
COMMENT ON COLUMN jobs.revoking IS 'To be given back unstarted, for a builder that is idle';
COMMENT ON COLUMN jobs.sdist IS 'Constant; half of the foreign key that lets nothing but an sdist be built';

CREATE INDEX jobs_claim ON jobs (target_id, priority DESC, job_id) WHERE state = 'pending';
COMMENT ON INDEX jobs_claim IS 'A claim reads as many entries as it leases, however long the queue is';
CREATE INDEX jobs_leased ON jobs (builder_id) WHERE state = 'leased';
