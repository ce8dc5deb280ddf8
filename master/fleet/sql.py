"""SQL of claims, of leases, and of the fleet that they are for."""

# A builder that the inventory moved to another target gives its leases back first: the schema
# lets no lease be held by a builder of another target.
HELD_BY_MOVED = """
SELECT j.job_id
  FROM jobs j JOIN builders b USING (builder_id) JOIN targets t ON t.target_id = b.target_id
 WHERE j.state = 'leased' AND (%(targets)s::jsonb ->> b.name) IS DISTINCT FROM t.name
   FOR UPDATE OF j
"""

# By the master's clock, as every time that is compared with it.
REGISTER = """
INSERT INTO builders AS b (name, target_id, next_contact_at)
SELECT n.key, t.target_id, %(now)s
  FROM jsonb_each_text(%(targets)s::jsonb) n JOIN targets t ON t.name = n.value
ON CONFLICT (name) DO UPDATE
   SET target_id = excluded.target_id, active = true, report = NULL, refuses = NULL,
       missing_since = NULL, next_contact_at = excluded.next_contact_at
 WHERE (b.target_id, b.active) IS DISTINCT FROM (excluded.target_id, true)
"""

# A Pi that comes back, or another one of its name, is not the one that was paused.
RETIRE = """
UPDATE builders SET active = false, paused_at = NULL, paused_by = NULL, paused_reason = NULL
 WHERE active AND NOT %(targets)s::jsonb ? name
"""

BUILDERS = """
SELECT b.builder_id, b.name, b.target_id, b.missing_since, b.refuses, b.paused_at, b.report,
       b.next_contact_at <= %(now)s AS due,
       count(j.job_id) FILTER (WHERE NOT j.revoking) AS held,
       count(j.job_id) FILTER (WHERE j.revoking) AS revoking
  FROM builders b
  LEFT JOIN jobs j ON j.builder_id = b.builder_id AND j.state = 'leased'
 WHERE b.active
 GROUP BY b.builder_id
 ORDER BY b.name
"""

# What another transaction has in hand is woken by a later claim.
WAKE = """
UPDATE jobs SET retry_at = NULL
 WHERE job_id IN (SELECT job_id FROM jobs WHERE retry_at <= %(now)s FOR UPDATE SKIP LOCKED)
"""

# The partial index jobs_claim gives them in this order; jobs that another transaction has in hand
# (a plan that raises a priority) are passed over.
PICK = """
SELECT job_id, priority FROM jobs
 WHERE state = 'pending' AND retry_at IS NULL AND target_id = %(target_id)s
 ORDER BY priority DESC, job_id
 LIMIT %(limit)s
   FOR UPDATE SKIP LOCKED
"""

REVOKE = """
UPDATE jobs SET revoking = true
 WHERE job_id = %(job_id)s AND attempt = %(attempt)s AND builder_id = %(builder_id)s
   AND state = 'leased' AND NOT revoking
"""

# What a builder has begun stays with it, whatever of it the report has told yet.
REVOKE_UNSTARTED = """
UPDATE jobs SET revoking = true
 WHERE builder_id = %(builder_id)s AND state = 'leased' AND NOT revoking
   AND NOT job_id = ANY (%(started)s)
"""

LEASED_FIRST = """
SELECT job_id FROM jobs WHERE state = 'leased' AND priority >= %(priority)s
"""

LEASES = """
SELECT b.name AS builder, t.name AS target, j.job_id, j.attempt, j.handed_at, j.revoking,
       j.priority, p.name AS project, v.version, f.filename, f.url,
       j.leased_sha256 AS sha256, f.size_bytes
  FROM jobs j
  JOIN builders b ON b.builder_id = j.builder_id
  JOIN targets t ON t.target_id = j.target_id
  JOIN versions v ON v.version_id = j.version_id
  JOIN projects p USING (project_id)
  JOIN upstream_files f ON f.upstream_file_id = j.upstream_file_id
 WHERE j.state = 'leased'
 ORDER BY j.priority DESC, j.job_id
"""

# Who is paused

PAUSES = """
SELECT name, paused_reason FROM builders WHERE active ORDER BY name
"""

PAUSE = """
UPDATE builders
   SET paused_at = coalesce(paused_at, %(now)s), paused_by = %(by)s, paused_reason = %(reason)s
 WHERE active AND name = ANY (%(names)s)
   AND (paused_by IS DISTINCT FROM 'operator' OR %(by)s = 'operator')
"""

RESUME = """
UPDATE builders SET paused_at = NULL, paused_by = NULL, paused_reason = NULL
 WHERE active AND name = ANY (%(names)s) AND (paused_by = 'upgrade' OR %(by)s = 'operator')
"""

# How leases go on and end

# Where this contact is long after the time that was noted for it, the master was off: nobody knows
# then for how long the builder was silent, and its silence counts from now on.
BUILDER = """
SELECT builder_id,
       CASE WHEN next_contact_at >= %(now)s - %(longest_round)s
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

HELD = """
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

FAILED_BUILD = """
INSERT INTO builds (job_id, attempt, builder_id, status, reason_code, reason, sdist_filename,
                    sdist_sha256, finished_at, recorded_at)
SELECT j.job_id, %(attempt)s, %(builder_id)s, 'failed', %(reason_code)s, %(reason)s,
       CASE WHEN j.leased_sha256 IS NOT NULL THEN f.filename END, j.leased_sha256, %(now)s, %(now)s
  FROM jobs j JOIN upstream_files f USING (upstream_file_id)
 WHERE j.job_id = %(job_id)s
"""
