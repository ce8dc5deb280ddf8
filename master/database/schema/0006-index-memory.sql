-- depends: 0005-queued-at
-- What a sync remembers of a project's page, so that it isn't taken in by the next one.
ALTER TABLE projects
    ADD COLUMN serial      bigint CHECK (serial >= 0),
    ADD COLUMN empty_since timestamptz,
    ADD COLUMN ignored     text[] NOT NULL DEFAULT '{}',
    ADD COLUMN ignored_count integer NOT NULL DEFAULT 0 CHECK (ignored_count >= 0);
COMMENT ON COLUMN projects.serial IS 'The newest state of its page that was taken (X-PyPI-Last-Serial); null where the index gives none';
COMMENT ON COLUMN projects.empty_since IS 'Since when its page lists nothing, though the farm has versions of it; null while it lists something';
COMMENT ON COLUMN projects.ignored IS 'The first few versions and files of its page that could not be used, each with the reason';
COMMENT ON COLUMN projects.ignored_count IS 'How many there are in all';
CREATE INDEX projects_ignored ON projects (name) WHERE ignored_count > 0;
