"""SQL of master/targets/registry.py."""

UPSERT = """
INSERT INTO targets AS t (name, python_version, interpreter_tag, abi_tag, platform_tag, armv6)
VALUES (%(name)s, %(python_version)s, %(interpreter_tag)s, %(abi_tag)s, %(platform_tag)s, %(armv6)s)
ON CONFLICT (name) DO UPDATE
   SET python_version = excluded.python_version, interpreter_tag = excluded.interpreter_tag,
       abi_tag = excluded.abi_tag, platform_tag = excluded.platform_tag, armv6 = excluded.armv6,
       active = true
 WHERE (t.python_version, t.interpreter_tag, t.abi_tag, t.platform_tag, t.armv6, t.active)
       IS DISTINCT FROM
       (excluded.python_version, excluded.interpreter_tag, excluded.abi_tag,
        excluded.platform_tag, excluded.armv6, true)
RETURNING t.name
"""

RETIRE = """
UPDATE targets SET active = false WHERE active AND name <> ALL (%(names)s) RETURNING name
"""

ACTIVE = """
SELECT target_id, name, python_version, interpreter_tag, abi_tag, platform_tag, armv6
  FROM targets WHERE active ORDER BY name
"""
