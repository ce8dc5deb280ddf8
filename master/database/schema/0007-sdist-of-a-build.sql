-- depends: 0006-index-memory
-- From which sdist a build was made, and wheels that are offered no longer since that was replaced.
ALTER TABLE jobs ADD COLUMN leased_sha256 sha256_hex;
COMMENT ON COLUMN jobs.leased_sha256 IS 'Of its sdist when it was leased last, which a sync may have changed since';
UPDATE jobs j SET leased_sha256 = f.sha256
  FROM upstream_files f WHERE f.upstream_file_id = j.upstream_file_id AND j.attempt > 0;

ALTER TABLE builds
    ADD COLUMN sdist_filename file_name,
    ADD COLUMN sdist_sha256   sha256_hex,
    ADD CONSTRAINT an_sdist_has_name_and_hash
        CHECK ((sdist_filename IS NULL) = (sdist_sha256 IS NULL));
COMMENT ON COLUMN builds.sdist_sha256 IS 'Of the sdist that the builder was given; null where nothing was handed over';
UPDATE builds b SET sdist_filename = f.filename, sdist_sha256 = f.sha256
  FROM jobs j JOIN upstream_files f USING (upstream_file_id)
 WHERE j.job_id = b.job_id AND f.sha256 IS NOT NULL;

ALTER TABLE files ADD COLUMN withdrawn_at timestamptz;
COMMENT ON COLUMN files.withdrawn_at IS 'Since when it is not offered any longer, as its sdist was replaced; its name stays taken';

GRANT SELECT ON builds TO wheelyard_sync;
GRANT UPDATE (withdrawn_at) ON files TO wheelyard_sync;
GRANT UPDATE (leased_sha256) ON jobs TO wheelyard_queue;
