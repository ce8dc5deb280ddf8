"""SQL of master/upstream/sync.py."""

# Whether a known one is followed is FOLLOW's to say.
PROJECT = """
INSERT INTO projects AS p (name, display_name, followed)
VALUES (%(name)s, coalesce(%(display_name)s, %(name)s), %(followed)s)
ON CONFLICT (name) DO UPDATE SET display_name = coalesce(%(display_name)s, p.display_name)
RETURNING project_id, followed
"""

# What its last pages were, and whether there is anything that this one could take away.
KNOWN = """
SELECT project_id, followed, serial, empty_since,
       EXISTS (SELECT FROM versions v WHERE v.project_id = p.project_id AND v.present) AS has_any,
       EXISTS (SELECT FROM versions v JOIN upstream_files f USING (version_id)
                WHERE v.project_id = p.project_id AND f.present) AS has_files
  FROM projects p WHERE name = %(name)s
"""

EMPTY = "UPDATE projects SET empty_since = coalesce(empty_since, %(now)s) WHERE name = %(name)s"

# Another index counts otherwise.
FORGET_SERIALS = """
UPDATE projects SET serial = NULL
 WHERE serial IS NOT NULL
   AND (SELECT value FROM sync_state WHERE key = 'index_url') IS DISTINCT FROM %(url)s
"""

# What the farm has from the index: versions of which it offers a wheel, and those that it had none
# of yet but planned. One whose wheels are all withdrawn is a loss.
HAS = """
SELECT v.version_id
  FROM versions v
 WHERE v.present AND (%(project_id)s::bigint IS NULL OR v.project_id = %(project_id)s)
   AND CASE WHEN EXISTS (SELECT FROM files f WHERE f.version_id = v.version_id)
            THEN EXISTS (SELECT FROM files f
                          WHERE f.version_id = v.version_id AND f.withdrawn_at IS NULL)
            ELSE EXISTS (SELECT FROM jobs j WHERE j.version_id = v.version_id) END
"""
HOW_MANY = f"SELECT count(*) AS versions FROM ({HAS}) has"  # noqa: S608 - constants alone

FOLLOW = """
UPDATE projects SET followed = name = ANY (%(names)s::text[])
 WHERE followed <> (name = ANY (%(names)s::text[]))
"""

VERSIONS = """
INSERT INTO versions AS v
       (project_id, version, released_at, yanked, yanked_reason, requires_python, present)
SELECT %(project_id)s, n.version, n.released_at, n.yanked, n.yanked_reason, n.requires_python, true
  FROM unnest(%(version)s::text[], %(released_at)s::timestamptz[], %(yanked)s::boolean[],
              %(yanked_reason)s::text[], %(requires_python)s::text[])
       AS n (version, released_at, yanked, yanked_reason, requires_python)
ON CONFLICT (project_id, version) DO UPDATE
   SET released_at = coalesce(excluded.released_at, v.released_at), yanked = excluded.yanked,
       yanked_reason = excluded.yanked_reason, requires_python = excluded.requires_python,
       present = true
 WHERE (coalesce(excluded.released_at, v.released_at), excluded.yanked, excluded.yanked_reason,
        excluded.requires_python, true)
       IS DISTINCT FROM (v.released_at, v.yanked, v.yanked_reason, v.requires_python, v.present)
RETURNING version, xmax = 0 AS is_new
"""

VERSIONS_GONE = """
UPDATE versions SET present = false
 WHERE project_id = %(project_id)s AND present AND version <> ALL (%(version)s::text[])
RETURNING version
"""

# A file name that another version has already is left to it: names are unique on an index, so the
# second one is a lie of the index or ours to look into.
FILES = """
INSERT INTO upstream_files AS f
       (version_id, filename, kind, url, sha256, size_bytes, uploaded_at, yanked, requires_python,
        present)
SELECT v.version_id, n.filename, n.kind, n.url, n.sha256, n.size_bytes, n.uploaded_at, n.yanked,
       n.requires_python, true
  FROM unnest(%(version)s::text[], %(filename)s::text[], %(kind)s::text[], %(url)s::text[],
              %(sha256)s::text[], %(size_bytes)s::bigint[], %(uploaded_at)s::timestamptz[],
              %(yanked)s::boolean[], %(requires_python)s::text[])
       AS n (version, filename, kind, url, sha256, size_bytes, uploaded_at, yanked,
             requires_python)
  JOIN versions v ON v.project_id = %(project_id)s AND v.version = n.version
ON CONFLICT (filename) DO UPDATE
   SET url = excluded.url, sha256 = excluded.sha256,
       size_bytes = coalesce(excluded.size_bytes, f.size_bytes),
       uploaded_at = coalesce(excluded.uploaded_at, f.uploaded_at), yanked = excluded.yanked,
       requires_python = excluded.requires_python, present = true
 WHERE f.version_id = excluded.version_id
   AND (excluded.url, excluded.sha256, coalesce(excluded.size_bytes, f.size_bytes),
        coalesce(excluded.uploaded_at, f.uploaded_at), excluded.yanked, excluded.requires_python,
        true)
       IS DISTINCT FROM
       (f.url, f.sha256, f.size_bytes, f.uploaded_at, f.yanked, f.requires_python, f.present)
RETURNING filename
"""

FILES_GONE = """
UPDATE upstream_files f SET present = false
  FROM versions v
 WHERE v.version_id = f.version_id AND v.project_id = %(project_id)s AND f.present
   AND f.filename <> ALL (%(filename)s::text[])
RETURNING f.filename
"""

# A wheel is offered for as long as the index has the sdist that it was made from, by name and hash,
# or has none at all: then there is nothing to make another from. A target that is retired keeps its
# wheels, as nobody makes others.
WITHDRAW = """
WITH judged AS (
     SELECT file.file_id,
            b.sdist_sha256 IS NOT NULL
            AND NOT EXISTS (SELECT FROM upstream_files f
                             WHERE f.filename = b.sdist_filename AND f.sha256 = b.sdist_sha256
                               AND f.version_id = v.version_id AND f.present)
            AND EXISTS (SELECT FROM upstream_files f
                         WHERE f.version_id = v.version_id AND f.present AND f.kind = 'sdist'
                           AND f.sha256 IS NOT NULL) AS is_replaced
       FROM versions v JOIN files file USING (version_id) JOIN builds b USING (build_id)
       JOIN jobs j USING (job_id) JOIN targets t USING (target_id)
      WHERE v.project_id = %(project_id)s AND v.present AND t.active)
UPDATE files SET withdrawn_at = CASE WHEN is_replaced THEN %(now)s::timestamptz END
  FROM judged
 WHERE files.file_id = judged.file_id AND is_replaced <> (withdrawn_at IS NOT NULL)
"""

SYNCED = """
UPDATE projects
   SET synced_at = %(now)s, serial = coalesce(%(serial)s, serial), empty_since = NULL,
       ignored = %(ignored)s, ignored_count = %(ignored_count)s,
       dirty_since = CASE WHEN %(changed)s THEN %(now)s ELSE dirty_since END
 WHERE project_id = %(project_id)s
"""
