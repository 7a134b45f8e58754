-- Settlements that wait for their clients' objections, the objections, and how they end. What was
-- there before was booked at once: it has no windows.

ALTER TABLE settlements ADD COLUMN cutoff_at {int};
ALTER TABLE settlements ADD COLUMN dispute_window_ends_at {int};
ALTER TABLE settlements ADD COLUMN top_up_window_ends_at {int};
ALTER TABLE settlements ADD COLUMN amounts_fixed {bool};
ALTER TABLE settlements ADD COLUMN standing_disputes {int};
-- The last journal entry when one that waits was last found short.
ALTER TABLE settlements ADD COLUMN found_short_at {int};
CREATE INDEX settlements_short ON settlements (partner_id, id) WHERE found_short_at IS NOT NULL;

{sqlite}
DROP INDEX transfers_of_settlement;
DROP INDEX transfers_of_source;
DROP INDEX transfers_of_destination;
ALTER TABLE settlement_transfers RENAME TO former_transfers;
CREATE TABLE settlement_transfers (
    id {uuid} PRIMARY KEY NOT NULL,
    partner_id {uuid} NOT NULL,
    settlement_id {uuid},
    dispute_closure_id {uuid},
    position {int} NOT NULL,
    currency {text} NOT NULL,
    partner_currency {text} NOT NULL,
    amount {amount} NOT NULL,
    source_client_id {uuid} NOT NULL,
    source_go_account_id {uuid} NOT NULL,
    source_connection_id {uuid},
    source_network_account_id {uuid},
    destination_client_id {uuid} NOT NULL,
    destination_go_account_id {uuid} NOT NULL,
    destination_connection_id {uuid},
    destination_network_account_id {uuid},
    status {text} NOT NULL,
    entry {uuid},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict}, WITHOUT ROWID;
INSERT INTO settlement_transfers
    SELECT t.id, s.partner_id, t.settlement_id, NULL, t.position, t.currency, t.partner_currency,
        t.amount, t.source_client_id, t.source_go_account_id, t.source_connection_id,
        t.source_network_account_id, t.destination_client_id, t.destination_go_account_id,
        t.destination_connection_id, t.destination_network_account_id, t.status, t.entry,
        t.created_at, t.updated_at
    FROM former_transfers t JOIN settlements s ON s.id = t.settlement_id;
DROP TABLE former_transfers;
CREATE INDEX transfers_of_settlement ON settlement_transfers (settlement_id, position);
CREATE INDEX transfers_of_source ON settlement_transfers (source_client_id, updated_at, id);
CREATE INDEX transfers_of_destination ON settlement_transfers (destination_client_id, updated_at, id);
{end}
{postgres}
ALTER TABLE settlement_transfers ADD COLUMN partner_id {uuid};
UPDATE settlement_transfers SET partner_id =
    (SELECT partner_id FROM settlements s WHERE s.id = settlement_transfers.settlement_id);
ALTER TABLE settlement_transfers ALTER COLUMN partner_id SET NOT NULL;
ALTER TABLE settlement_transfers ALTER COLUMN settlement_id DROP NOT NULL;
ALTER TABLE settlement_transfers ADD COLUMN dispute_closure_id {uuid};
{end}
CREATE INDEX transfers_waiting ON settlement_transfers (partner_id, created_at, id)
    WHERE settlement_id IS NULL;
-- Those for which something may be held.
CREATE INDEX transfers_holding ON settlement_transfers (id)
    WHERE status IN ('pending', 'failed', 'disputed', 'pending_settlement_assignment');
CREATE INDEX transfers_of_closure ON settlement_transfers (dispute_closure_id)
    WHERE dispute_closure_id IS NOT NULL;

ALTER TABLE participations ADD COLUMN disputed {bool} NOT NULL DEFAULT FALSE;

CREATE TABLE disputes (
    id {uuid} PRIMARY KEY NOT NULL,
    settlement_id {uuid} NOT NULL,
    connection_id {uuid} NOT NULL,
    client_id {uuid} NOT NULL,
    client_enterprise_id {text} NOT NULL,
    partner_id {uuid} NOT NULL,
    partner_enterprise_id {text} NOT NULL,
    user_id {uuid} NOT NULL,
    expected {text} NOT NULL,
    reason {text},
    retracted_by {uuid},
    retracted_at {int},
    retracted_reason {text},
    closure_id {uuid},
    closed_at {int},
    settled_in {uuid},
    signed_request {uuid} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    UNIQUE (settlement_id, connection_id)
){strict};
CREATE INDEX disputes_of_client ON disputes (client_enterprise_id, created_at, id);
CREATE INDEX disputes_of_partner ON disputes (partner_enterprise_id, created_at, id);
CREATE INDEX disputes_settled_in ON disputes (settled_in) WHERE settled_in IS NOT NULL;
CREATE INDEX disputes_open ON disputes (created_at, id) WHERE closed_at IS NULL;

CREATE TABLE dispute_closures (
    id {uuid} PRIMARY KEY NOT NULL,
    dispute_id {uuid} NOT NULL,
    closed_by {text} NOT NULL,
    user_id {uuid} NOT NULL,
    notes {text} NOT NULL,
    adjustments {text} NOT NULL,
    status {text} NOT NULL,
    reviewed_by {uuid},
    reviewed_at {int},
    review_notes {text},
    signed_request {uuid},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};
CREATE INDEX dispute_closures_waiting ON dispute_closures (created_at, id)
    WHERE status = 'pending_review';
