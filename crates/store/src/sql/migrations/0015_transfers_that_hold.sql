-- SQLite looks a word up in a list of more than two by making a table of the list, and it did so for
-- every transfer that was written, to see whether this index has to have it.
{sqlite}
DROP INDEX transfers_holding;
CREATE INDEX transfers_holding ON settlement_transfers (id)
    WHERE status = 'pending' OR status = 'failed' OR status = 'disputed'
        OR status = 'pending_settlement_assignment';
{end}
