-- Every list is read in its order, from the rows of whoever asks.

-- A client's settlements, the newest first.
ALTER TABLE participations ADD COLUMN created_at {int} NOT NULL DEFAULT 0;
UPDATE participations SET created_at = COALESCE(
    (SELECT created_at FROM settlements s WHERE s.id = participations.settlement_id), 0);
-- Of several connections of a client one stands for all in the list.
ALTER TABLE participations ADD COLUMN listed {bool} NOT NULL DEFAULT FALSE;
UPDATE participations SET listed = TRUE WHERE NOT EXISTS (SELECT 1 FROM participations former
    WHERE former.settlement_id = participations.settlement_id
        AND former.client_id = participations.client_id
        AND former.connection_id < participations.connection_id);
CREATE INDEX participations_disputed ON participations (client_id, settlement_id) WHERE disputed;
CREATE INDEX participations_listed ON participations (client_id, created_at DESC, settlement_id)
    WHERE listed;
-- Where a client gets something, and where it gives: who never does either is not looked for.
CREATE INDEX participations_as_party ON participations (client_id, created_at DESC, settlement_id)
    WHERE party;
CREATE INDEX participations_as_counterparty
    ON participations (client_id, created_at DESC, settlement_id) WHERE counterparty;

-- Transfers are found by their settlement and the connection that has a part in it. Where a
-- connection settles with the partner itself, the partner is the source and has no connection.
DROP INDEX transfers_of_settlement;
DROP INDEX transfers_of_source;
DROP INDEX transfers_of_destination;
CREATE INDEX transfers_to_connection
    ON settlement_transfers (settlement_id, destination_connection_id, position);
CREATE INDEX transfers_from_connection
    ON settlement_transfers (settlement_id, source_connection_id, position)
    WHERE source_connection_id IS NOT NULL;
CREATE INDEX transfers_to_client_by_update
    ON settlement_transfers (destination_client_id, updated_at, created_at, id);
CREATE INDEX transfers_from_client_by_update
    ON settlement_transfers (source_client_id, updated_at, created_at, id)
    WHERE source_connection_id IS NOT NULL;

-- Allocations that wait for a partner are few, and reserving is what everybody waits for: they have
-- one order. Those that are finished have all. The operator's index of what waits is of other words,
-- so that nobody else's list is read through it. Nor is the primary key read in its order for the
-- rows of one client among all: what the list is sorted by is not the identifier as it is.
DROP INDEX allocations_of_client;
DROP INDEX allocations_of_partner;
CREATE INDEX allocations_open_of_client
    ON allocations (client_enterprise_id, created_at, id) WHERE state NOT IN ('cleared', 'released');
CREATE INDEX allocations_open_of_partner
    ON allocations (partner_enterprise_id, created_at, id) WHERE state NOT IN ('cleared', 'released');
CREATE INDEX allocations_of_client
    ON allocations (client_enterprise_id, created_at, id) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_client_by_id
    ON allocations (client_enterprise_id, (COALESCE(id, id))) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_client_by_update
    ON allocations (client_enterprise_id, updated_at, created_at, id) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_client_by_update_down
    ON allocations (client_enterprise_id, updated_at DESC, created_at, id)
    WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_client_by_quantity
    ON allocations (client_enterprise_id, amount, created_at, id) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_client_by_quantity_down
    ON allocations (client_enterprise_id, amount DESC, created_at, id) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_client_by_currency
    ON allocations (client_enterprise_id, currency, created_at, id) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_client_by_currency_down
    ON allocations (client_enterprise_id, currency DESC, created_at, id) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_partner
    ON allocations (partner_enterprise_id, created_at, id) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_partner_by_id
    ON allocations (partner_enterprise_id, (COALESCE(id, id))) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_partner_by_update
    ON allocations (partner_enterprise_id, updated_at, created_at, id) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_partner_by_update_down
    ON allocations (partner_enterprise_id, updated_at DESC, created_at, id)
    WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_partner_by_quantity
    ON allocations (partner_enterprise_id, amount, created_at, id) WHERE state IN ('cleared', 'released');
CREATE INDEX allocations_of_partner_by_quantity_down
    ON allocations (partner_enterprise_id, amount DESC, created_at, id) WHERE state IN ('cleared', 'released');

-- What operators list of all accounts.
CREATE INDEX deposits_by_time ON deposits (created_at, id);
CREATE INDEX withdrawals_by_time ON withdrawals (created_at, id);

-- SQLite never counts, but it can be told: a settlement has many parts, of which few are one
-- client's, and few are disputed.
{sqlite}
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('participations', 'participations', '1000000 500 1'),
    ('participations', 'participations_of_client', '1000000 1000 2 1'),
    ('participations', 'participations_listed', '1000000 1000 2 2 1'),
    ('participations', 'participations_as_party', '1000000 1000 2 2 1'),
    ('participations', 'participations_as_counterparty', '1000000 1000 2 2 1'),
    ('participations', 'participations_disputed', '1000 10 2 1');
{end}
