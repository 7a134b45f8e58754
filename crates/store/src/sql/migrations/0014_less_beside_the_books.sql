-- Less that is kept beside the books only to be looked up, and less that looking up reads.

-- The settlements on which the end of a dispute rides are those of the transfers that its closure
-- has made: in parts there may be several.
DROP INDEX disputes_settled_in;
ALTER TABLE disputes DROP COLUMN settled_in;
CREATE INDEX transfers_riding ON settlement_transfers (settlement_id, dispute_closure_id)
    WHERE dispute_closure_id IS NOT NULL;
