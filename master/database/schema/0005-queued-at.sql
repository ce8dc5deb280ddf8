-- depends: 0004-grants
-- A job's queued_at is the master's time, as that of its builds and files is: they are compared.
GRANT INSERT (queued_at) ON jobs TO wheelyard_sync;
