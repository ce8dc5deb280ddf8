-- depends: 0007-sdist-of-a-build
-- A job whose sdist can't be had now waits in the queue, not in a builder's spool, and keeps its count of tries.
ALTER TABLE jobs
    ADD COLUMN retry_at       timestamptz,
    ADD COLUMN retry_reason   text,
    ADD COLUMN fetch_failures integer NOT NULL DEFAULT 0 CHECK (fetch_failures >= 0),
    ADD COLUMN network_failures integer NOT NULL DEFAULT 0,
    ADD COLUMN other_file     boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT a_network_failure_is_a_failure
        CHECK (network_failures BETWEEN 0 AND fetch_failures),
    ADD CONSTRAINT only_a_pending_job_waits CHECK (retry_at IS NULL OR state = 'pending'),
    ADD CONSTRAINT what_waits_has_a_reason CHECK (retry_at IS NULL OR retry_reason IS NOT NULL);
COMMENT ON COLUMN jobs.retry_at IS 'Not leased before; a claim sets it to null when the time has come';
COMMENT ON COLUMN jobs.retry_reason IS 'Why it waits, or waited last';
COMMENT ON COLUMN jobs.fetch_failures IS 'How often its sdist could not be fetched, by whichever builder';
COMMENT ON COLUMN jobs.network_failures IS 'How often of these the network or the server was to blame';
COMMENT ON COLUMN jobs.other_file IS 'One of these times it was another file than the index promised';

DROP INDEX jobs_claim;
CREATE INDEX jobs_claim ON jobs (target_id, priority DESC, job_id)
    WHERE state = 'pending' AND retry_at IS NULL;
COMMENT ON INDEX jobs_claim IS 'A claim reads as many entries as it leases, however long the queue is';
CREATE INDEX jobs_waiting ON jobs (retry_at) WHERE retry_at IS NOT NULL;

GRANT UPDATE (retry_at, retry_reason, fetch_failures, network_failures, other_file)
    ON jobs TO wheelyard_sync, wheelyard_queue;
