-- depends: 0008-retry
-- Why a job or a build ended is a code that code reads, with words beside it for people.
CREATE TABLE reasons (
    code  text PRIMARY KEY CHECK (code ~ '^[a-z]+(-[a-z]+)*$'),
    words text NOT NULL
);
COMMENT ON TABLE reasons IS 'What each code means: master/jobs/reasons.py, which site.yml writes here';

ALTER TABLE jobs
    ADD COLUMN reason_code text REFERENCES reasons,
    ADD COLUMN covered_by  file_name REFERENCES files (filename);
ALTER TABLE builds
    ADD COLUMN reason_code text REFERENCES reasons;
COMMENT ON COLUMN jobs.covered_by IS 'The wheel that serves in place of one of its own';

-- What was written before has words alone. The words of the codes themselves follow from site.yml.
INSERT INTO reasons (code, words)
SELECT code, code FROM unnest(ARRAY[
    'gone', 'yanked', 'no-sdist', 'not-followed', 'not-newest', 'other-python', 'skip-rule',
    'covered', 'same-as', 'by-hand', 'build-failed', 'wheel-refused', 'result-refused', 'sdist-unavailable',
    'builder-lost']) AS code;

UPDATE jobs
   SET reason_code = CASE
           WHEN reason = 'gone from the index' THEN 'gone'
           WHEN reason = 'yanked upstream' THEN 'yanked'
           WHEN reason = 'no sdist with a sha256 on the index' THEN 'no-sdist'
           WHEN reason = 'the farm doesn''t follow its project' THEN 'not-followed'
           WHEN reason = 'not among the newest versions that the farm builds' THEN 'not-newest'
           WHEN reason = 'needs another Python' THEN 'other-python'
           WHEN reason LIKE 'skip rule: %' THEN 'skip-rule'
           WHEN reason LIKE 'covered by %'
            AND EXISTS (SELECT FROM files WHERE filename = substr(reason, 12)) THEN 'covered'
           ELSE 'by-hand' END,
       covered_by = (SELECT filename FROM files
                      WHERE reason LIKE 'covered by %' AND filename = substr(reason, 12))
 WHERE state = 'skipped';

UPDATE builds
   SET reason_code = CASE
           WHEN reason LIKE 'builder-lost%' THEN 'builder-lost'
           WHEN reason LIKE 'wheel refused: %' THEN 'wheel-refused'
           WHEN reason LIKE 'result refused: %' THEN 'result-refused'
           WHEN reason LIKE 'the sdist can''t be fetched: %' THEN 'sdist-unavailable'
           ELSE 'build-failed' END
 WHERE status = 'failed';

UPDATE jobs j
   SET reason_code = coalesce(
           (SELECT b.reason_code FROM builds b WHERE b.job_id = j.job_id AND b.attempt = j.attempt),
           'build-failed')
 WHERE state = 'failed';

ALTER TABLE jobs
    ADD CONSTRAINT a_reason_has_a_code CHECK ((reason IS NULL) = (reason_code IS NULL)),
    ADD CONSTRAINT what_is_covered_is_covered_by_a_wheel
        CHECK ((coalesce(reason_code, '') IN ('covered', 'same-as')) = (covered_by IS NOT NULL));
ALTER TABLE builds
    ADD CONSTRAINT a_reason_has_a_code CHECK ((reason IS NULL) = (reason_code IS NULL));

-- The history of a job is its builds, and these.
CREATE TABLE ended_leases (
    job_id      bigint NOT NULL REFERENCES jobs,
    attempt     integer NOT NULL CHECK (attempt >= 1),
    builder_id  bigint NOT NULL REFERENCES builders,
    leased_at   timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    reason_code text NOT NULL REFERENCES reasons,
    reason      text NOT NULL,
    PRIMARY KEY (job_id, attempt)
);
COMMENT ON TABLE ended_leases IS 'Attempts at a job that ended without a build';

GRANT SELECT ON reasons TO wheelyard_sync, wheelyard_queue, wheelyard_site, wheelyard_readonly;
GRANT INSERT (reason_code, covered_by) ON jobs TO wheelyard_sync;
GRANT UPDATE (reason_code, covered_by) ON jobs TO wheelyard_sync, wheelyard_queue;
GRANT INSERT ON ended_leases TO wheelyard_queue;
GRANT SELECT ON ended_leases TO wheelyard_queue, wheelyard_site, wheelyard_readonly;

-- A plain key instead of one with a constant column: planning picks sdists alone.
ALTER TABLE jobs
    DROP CONSTRAINT builds_an_sdist_of_its_own_version,
    DROP COLUMN sdist,
    ADD FOREIGN KEY (upstream_file_id) REFERENCES upstream_files;
ALTER TABLE upstream_files
    DROP CONSTRAINT upstream_files_upstream_file_id_version_id_kind_key;

CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
COMMENT ON INDEX jobs_finished IS 'What a run has done costs as much as it has done, however many jobs there are';

-- How many jobs a target has in each state, so that nobody has to count them. Kept by triggers, not
-- by the code of the transitions: so no statement, of an operator's either, can leave it wrong.
CREATE TABLE job_counts (
    job_count_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_id    bigint NOT NULL REFERENCES targets,
    state        text NOT NULL,
    jobs         bigint NOT NULL
) WITH (fillfactor = 20);
COMMENT ON TABLE job_counts IS 'The sum of its rows of a target and state is the number of such jobs';

-- A row that another transaction has in hand is passed over, and the change goes into another one or
-- a new one: who claims never waits for who syncs or records, and no two wait for each other. There
-- are as many rows of a kind as there were ever writers at once.
CREATE FUNCTION add_to_job_counts(target bigint, in_state text, change bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE job_counts SET jobs = jobs + change
     WHERE job_count_id = (SELECT job_count_id FROM job_counts
                            WHERE target_id = target AND state = in_state
                            LIMIT 1 FOR UPDATE SKIP LOCKED);
    IF NOT FOUND THEN
        INSERT INTO job_counts (target_id, state, jobs) VALUES (target, in_state, change);
    END IF;
END $$;

-- Once a statement, with what it changed as a whole. As the tables' owner, so that no role needs to
-- be allowed to write the counts.
CREATE FUNCTION count_jobs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM add_to_job_counts(target_id, state, count(*)) FROM new_jobs GROUP BY target_id, state;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM add_to_job_counts(target_id, state, -count(*)) FROM old_jobs GROUP BY target_id, state;
    ELSIF TG_OP = 'TRUNCATE' THEN
        DELETE FROM job_counts;
    ELSE
        PERFORM add_to_job_counts(target_id, state, sum(n)::bigint)
           FROM (SELECT target_id, state, 1 AS n FROM new_jobs
                 UNION ALL SELECT target_id, state, -1 FROM old_jobs) change
          GROUP BY target_id, state HAVING sum(n) <> 0;
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION add_to_job_counts, count_jobs FROM PUBLIC;

CREATE TRIGGER count_inserted_jobs AFTER INSERT ON jobs
    REFERENCING NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION count_jobs();
CREATE TRIGGER count_updated_jobs AFTER UPDATE ON jobs
    REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION count_jobs();
CREATE TRIGGER count_deleted_jobs AFTER DELETE ON jobs
    REFERENCING OLD TABLE AS old_jobs FOR EACH STATEMENT EXECUTE FUNCTION count_jobs();
CREATE TRIGGER count_truncated_jobs AFTER TRUNCATE ON jobs
    FOR EACH STATEMENT EXECUTE FUNCTION count_jobs();

INSERT INTO job_counts (target_id, state, jobs)
SELECT target_id, state, count(*) FROM jobs GROUP BY target_id, state;

GRANT SELECT ON job_counts TO wheelyard_sync, wheelyard_queue, wheelyard_site, wheelyard_readonly;
