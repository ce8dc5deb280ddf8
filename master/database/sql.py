"""SQL of master/database/notes.py."""

NOTE = """
INSERT INTO sync_state AS s (key, value, updated_at) VALUES (%(key)s, %(value)s, %(now)s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
"""
