-- depends: 0003-builds
-- Least privilege: each role may do what its one program does. Nobody deletes.
-- The roles themselves are made by the postgres role, which knows their passwords.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public
    TO wheelyard_sync, wheelyard_queue, wheelyard_site, wheelyard_readonly;

-- sync: what PyPI says, and what is therefore queued
GRANT SELECT, INSERT, UPDATE ON projects, versions, upstream_files, sync_state TO wheelyard_sync;
GRANT SELECT ON targets, skips, files TO wheelyard_sync;
GRANT SELECT ON jobs TO wheelyard_sync;
GRANT INSERT (version_id, target_id, upstream_file_id, priority, state, finished_at, reason)
    ON jobs TO wheelyard_sync;
GRANT UPDATE (upstream_file_id, priority, state, lost_count, queued_at, finished_at, reason)
    ON jobs TO wheelyard_sync;

-- queue: claims, leases, results
GRANT SELECT ON projects, versions, upstream_files, targets, skips TO wheelyard_queue;
GRANT UPDATE (dirty_since) ON projects TO wheelyard_queue;
GRANT SELECT, INSERT, UPDATE ON builders, sync_state TO wheelyard_queue;
GRANT SELECT ON jobs TO wheelyard_queue;
GRANT UPDATE (state, attempt, lost_count, builder_id, leased_at, handed_at, revoking, finished_at, reason)
    ON jobs TO wheelyard_queue;
GRANT SELECT, INSERT ON builds, build_logs, files, file_dependencies TO wheelyard_queue;

-- site: reads all that it renders, and notes what it has carried
GRANT SELECT ON projects, versions, upstream_files, targets, skips, builders, jobs,
    builds, build_logs, files, file_dependencies, sync_state TO wheelyard_site;
GRANT UPDATE (dirty_since) ON projects TO wheelyard_site;
GRANT INSERT, UPDATE ON sync_state TO wheelyard_site;

-- readonly: people and reports
GRANT SELECT ON projects, versions, upstream_files, targets, skips, builders, jobs,
    builds, build_logs, files, file_dependencies, sync_state TO wheelyard_readonly;
