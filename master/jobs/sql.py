"""SQL of master/jobs/policy.py."""

# The sdist: of those with a hash that are still there, .tar.gz before .zip.
VERSIONS = """
SELECT v.version_id, v.version, v.yanked, v.present, v.requires_python, sdist.upstream_file_id,
       (SELECT coalesce(array_agg(filename::text), '{}') FROM files
         WHERE version_id = v.version_id AND serves_every_platform
           AND withdrawn_at IS NULL) AS wheels
  FROM versions v
  LEFT JOIN LATERAL (
       SELECT upstream_file_id FROM upstream_files f
        WHERE f.version_id = v.version_id AND kind = 'sdist' AND present AND sha256 IS NOT NULL
        ORDER BY yanked, filename NOT LIKE '%%.tar.gz', filename LIMIT 1) sdist ON true
 WHERE v.project_id = %(project_id)s
"""

# Whether any of its wheels, the farm's or the index's, is for one platform alone.
COMPILED = """
SELECT EXISTS (SELECT FROM versions v JOIN files f USING (version_id)
                WHERE v.project_id = %(project_id)s AND NOT f.serves_every_platform
                  AND f.withdrawn_at IS NULL)
    OR EXISTS (SELECT FROM versions v JOIN upstream_files f USING (version_id)
                WHERE v.project_id = %(project_id)s AND f.kind = 'wheel' AND f.present
                  AND f.filename NOT LIKE '%%-any.whl') AS is_compiled
"""

SKIPS = """
SELECT version_id, target_id, reason FROM skips WHERE project_id = %(project_id)s
"""

JOBS = """
SELECT j.job_id, j.version_id, j.target_id, j.upstream_file_id, j.state, j.reason_code, j.reason,
       j.covered_by, j.priority,
       b.sdist_sha256 IS NOT NULL
       AND NOT EXISTS (SELECT FROM upstream_files f
                        WHERE f.filename = b.sdist_filename AND f.sha256 = b.sdist_sha256
                          AND f.version_id = j.version_id AND f.present) AS is_outdated,
       j.fetch_failures > 0 AND j.leased_sha256 <> (
           SELECT f.sha256 FROM upstream_files f WHERE f.upstream_file_id = j.upstream_file_id)
           AS is_renewed,
       EXISTS (SELECT FROM builds o JOIN files f USING (build_id)
                WHERE o.job_id = j.job_id AND f.withdrawn_at IS NOT NULL) AS is_rebuild
  FROM jobs j JOIN versions v USING (version_id)
  LEFT JOIN builds b ON b.job_id = j.job_id AND b.attempt = j.attempt
 WHERE v.project_id = %(project_id)s AND j.target_id = ANY (%(targets)s)
"""

# What waits for its sdist is tried at once.
RAISE = """
UPDATE jobs SET priority = greatest(priority, %(priority)s), retry_at = NULL
 WHERE job_id = %(job_id)s AND state IN ('pending', 'leased')
   AND (priority < %(priority)s OR retry_at IS NOT NULL)
"""

# The few that were dropped or only ever asked for by name, of which something else waits.
NOT_FOLLOWED = """
SELECT project_id, name FROM projects p
 WHERE NOT followed AND EXISTS (
       SELECT FROM versions v JOIN jobs j USING (version_id)
        WHERE v.project_id = p.project_id AND j.state = 'pending' AND j.priority < %(priority)s
          AND j.target_id = ANY (%(targets)s))
 ORDER BY name
"""

PROJECT = "SELECT project_id FROM projects WHERE name = %(name)s"

FILES = """
SELECT filename FROM upstream_files f JOIN versions v USING (version_id)
 WHERE v.version_id = %(version_id)s AND f.present ORDER BY filename
"""
