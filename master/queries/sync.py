"""SQL of master/sync.py."""

# Whether a known one is followed is FOLLOW's to say.
PROJECT = """
INSERT INTO projects AS p (name, display_name, followed)
VALUES (%(name)s, coalesce(%(display_name)s, %(name)s), %(followed)s)
ON CONFLICT (name) DO UPDATE SET display_name = coalesce(%(display_name)s, p.display_name)
RETURNING project_id, followed
"""

KNOWN = "SELECT project_id FROM projects WHERE name = %(name)s"

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

SYNCED = """
UPDATE projects
   SET synced_at = %(now)s,
       dirty_since = CASE WHEN %(changed)s THEN %(now)s ELSE dirty_since END
 WHERE project_id = %(project_id)s
"""
