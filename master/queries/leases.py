"""SQL of master/leases.py."""

# Where this contact is far from the time that was noted for it, the master was off or its clock was
# set: nobody knows then for how long the builder was silent, and its silence counts from now on.
BUILDER = """
SELECT builder_id,
       CASE WHEN next_contact_at BETWEEN %(now)s - %(longest_round)s
                                     AND %(now)s + %(longest_backoff)s
            THEN missing_since END AS missing_since
  FROM builders WHERE name = %(name)s
   FOR UPDATE
"""

SEEN = """
UPDATE builders
   SET last_seen_at = %(now)s, missing_since = NULL, next_contact_at = %(now)s,
       report = %(report)s::jsonb, refuses = %(refuses)s
 WHERE builder_id = %(builder_id)s
"""

MISSED = """
UPDATE builders SET missing_since = %(since)s, next_contact_at = %(next)s
 WHERE builder_id = %(builder_id)s
"""

LEASES = """
SELECT j.job_id, j.attempt, j.leased_at, j.handed_at, j.revoking, j.lost_count, t.name AS target
  FROM jobs j JOIN targets t USING (target_id)
 WHERE j.builder_id = %(builder_id)s AND j.state = 'leased'
 ORDER BY j.job_id
   FOR UPDATE OF j
"""

SHOWN = """
UPDATE jobs SET handed_at = coalesce(handed_at, %(now)s), revoking = revoking AND NOT %(started)s
 WHERE job_id = %(job_id)s AND attempt = %(attempt)s AND builder_id = %(builder_id)s
   AND state = 'leased'
   AND (handed_at IS NULL OR (revoking AND %(started)s))
"""

BACK = """
UPDATE jobs
   SET state = 'pending', builder_id = NULL, leased_at = NULL, handed_at = NULL, revoking = false,
       lost_count = lost_count + %(lost)s
 WHERE job_id = %(job_id)s
"""

FAIL = """
UPDATE jobs
   SET state = 'failed', builder_id = NULL, leased_at = NULL, handed_at = NULL, revoking = false,
       lost_count = lost_count + 1, finished_at = %(now)s, reason = %(reason)s
 WHERE job_id = %(job_id)s
"""

FAILED_BUILD = """
INSERT INTO builds (job_id, attempt, builder_id, status, reason, sdist_filename, sdist_sha256,
                    finished_at, recorded_at)
SELECT j.job_id, %(attempt)s, %(builder_id)s, 'failed', %(reason)s,
       CASE WHEN j.leased_sha256 IS NOT NULL THEN f.filename END, j.leased_sha256, %(now)s, %(now)s
  FROM jobs j JOIN upstream_files f USING (upstream_file_id)
 WHERE j.job_id = %(job_id)s
"""

DIRTY = """
UPDATE projects p SET dirty_since = %(now)s
  FROM versions v JOIN jobs j USING (version_id)
 WHERE v.project_id = p.project_id AND j.job_id = %(job_id)s
"""
