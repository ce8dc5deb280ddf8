-- depends: 0009-job-states
-- A wheel serves the Pis with an ARMv6 processor, too, where its release promises that and it is proven.
ALTER TABLE targets ADD COLUMN armv6 boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN targets.armv6 IS 'Its compiler makes ARMv6 code; what it made is looked at all the same';
