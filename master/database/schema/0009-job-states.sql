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
    'covered', 'by-hand', 'build-failed', 'wheel-refused', 'result-refused', 'sdist-unavailable',
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
        CHECK ((coalesce(reason_code, '') = 'covered') = (covered_by IS NOT NULL));
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
