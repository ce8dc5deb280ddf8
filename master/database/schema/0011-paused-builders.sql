-- depends: 0010-armv6
-- A builder that is paused is given nothing new, and finishes what it has begun.
ALTER TABLE builders
    ADD COLUMN paused_at     timestamptz,
    ADD COLUMN paused_by     text CHECK (paused_by IN ('operator', 'upgrade')),
    ADD COLUMN paused_reason text CHECK (paused_reason <> ''),
    ADD CONSTRAINT a_pause_has_a_beginning_an_author_and_a_reason
        CHECK (num_nulls(paused_at, paused_by, paused_reason) IN (0, 3)),
    ADD CONSTRAINT only_an_active_builder_is_paused CHECK (active OR paused_at IS NULL);
COMMENT ON COLUMN builders.paused_at IS 'Since when it is given nothing new; null when it is given work';
COMMENT ON COLUMN builders.paused_by IS 'What an operator has paused, no upgrade gives work again';
