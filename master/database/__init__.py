"""The database: connections, migrations, notes."""
