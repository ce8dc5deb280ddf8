-- depends: 0009-job-states
-- A wheel serves the Pis with an ARMv6 processor, too, where its release promises that and it is proven.
ALTER TABLE targets ADD COLUMN armv6 boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN targets.armv6 IS 'Its compiler makes ARMv6 code; what it made is looked at all the same';

ALTER TABLE files
    ADD COLUMN not_armv6 text,
    ADD CONSTRAINT what_is_not_armv6_is_not_tagged_so
        CHECK (not_armv6 IS NULL OR filename NOT LIKE '%linux_armv6l%');
COMMENT ON COLUMN files.not_armv6 IS 'The first ELF file in it that is not proven ARMv6, and why; null where none has to be';
