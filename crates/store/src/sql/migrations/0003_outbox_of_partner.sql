-- What is due is looked for partner by partner, so that the backlog of one that does not answer is
-- never read for the others.

DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (partner_id, due_at, subject) WHERE call IS NOT NULL;
