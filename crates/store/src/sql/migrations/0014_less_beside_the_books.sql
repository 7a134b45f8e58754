-- Less that is kept beside the books only to be looked up, and less that looking up reads.

-- The settlements on which the end of a dispute rides are those of the transfers that its closure
-- has made: in parts there may be several.
DROP INDEX disputes_settled_in;
ALTER TABLE disputes DROP COLUMN settled_in;
CREATE INDEX transfers_riding ON settlement_transfers (settlement_id, dispute_closure_id)
    WHERE dispute_closure_id IS NOT NULL;

-- The laws ask again and again for what holds something, which is little of all that there was.
CREATE INDEX withdrawals_requested ON withdrawals (id) WHERE state = 'requested';
CREATE INDEX on_chain_open ON on_chain_settlements (settlement_id)
    WHERE started AND gains_unfinished + losses_unfinished > 0;

-- Nobody looks up the entries of a record but a verification, which reads the whole journal: every
-- entry wrote to a random place of this index.
DROP INDEX journal_of_subject;
