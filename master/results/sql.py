"""SQL of master/results/record.py."""

JOB = """
SELECT j.job_id, j.version_id, j.state, j.attempt, j.target_id, b.name AS builder, b.builder_id,
       t.name, t.python_version, t.interpreter_tag, t.abi_tag, t.platform_tag, t.armv6,
       p.project_id, p.name AS project, v.version, j.leased_at, j.queued_at,
       f.filename AS sdist_filename, j.leased_sha256 AS sdist_sha256, p.followed,
       j.fetch_failures, j.network_failures, j.other_file,
       EXISTS (SELECT FROM builds WHERE job_id = j.job_id AND attempt = %(attempt)s) AS recorded
  FROM jobs j
  JOIN targets t USING (target_id)
  JOIN versions v USING (version_id)
  JOIN projects p USING (project_id)
  JOIN upstream_files f ON f.upstream_file_id = j.upstream_file_id
  LEFT JOIN builders b ON b.builder_id = j.builder_id
 WHERE j.job_id = %(job_id)s
"""

LOCK_JOB = """
SELECT FROM jobs
 WHERE job_id = %(job_id)s AND attempt = %(attempt)s AND builder_id = %(builder_id)s
   AND state = 'leased'
   FOR UPDATE
"""

BUILD = """
INSERT INTO builds (job_id, attempt, builder_id, status, reason_code, reason, sdist_filename,
                    sdist_sha256, started_at, finished_at, duration_s, recorded_at)
VALUES (%(job_id)s, %(attempt)s, %(builder_id)s, %(status)s, %(reason_code)s, %(reason)s,
        %(sdist_filename)s, %(sdist_sha256)s, %(started_at)s, %(finished_at)s, %(duration_s)s,
        %(now)s)
RETURNING build_id
"""

LOG = """
INSERT INTO build_logs (build_id, log, size_bytes) VALUES (%(build_id)s, %(log)s, %(size_bytes)s)
"""

FILE = """
INSERT INTO files (build_id, version_id, filename, size_bytes, sha256, metadata_sha256,
                   requires_python, serves_every_platform, not_armv6, uploaded_at)
VALUES (%(build_id)s, %(version_id)s, %(filename)s, %(size_bytes)s, %(sha256)s,
        %(metadata_sha256)s, %(requires_python)s, %(serves_every_platform)s, %(not_armv6)s,
        %(now)s)
RETURNING file_id
"""

DEPENDENCIES = """
INSERT INTO file_dependencies (file_id, tool, dependency)
SELECT %(file_id)s, %(tool)s, unnest(%(dependencies)s::text[])
"""

RECORDED = "SELECT FROM files WHERE filename = %(filename)s"

PURE = """
SELECT filename FROM files
 WHERE version_id = %(version_id)s AND serves_every_platform AND withdrawn_at IS NULL
   AND uploaded_at >= %(queued_at)s
 ORDER BY file_id
"""

TARGETS = """
SELECT target_id, name, python_version, interpreter_tag, abi_tag, platform_tag, armv6 FROM targets
"""

OTHER_TARGETS = """
SELECT j.job_id, t.target_id, t.name, t.python_version, t.interpreter_tag, t.abi_tag,
       t.platform_tag, t.armv6
  FROM jobs j JOIN targets t USING (target_id)
 WHERE j.version_id = %(version_id)s AND j.job_id <> %(job_id)s AND j.state = 'pending'
   FOR UPDATE OF j SKIP LOCKED
"""

LEASED = """
SELECT b.name AS builder, t.name AS target, j.job_id, j.attempt
  FROM jobs j JOIN builders b USING (builder_id) JOIN targets t ON t.target_id = j.target_id
 WHERE j.state = 'leased'
"""
