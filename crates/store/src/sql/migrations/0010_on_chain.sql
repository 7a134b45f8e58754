-- Settlements over the chain: whether they were begun, how many legs are booked or have failed.
ALTER TABLE on_chain_settlements ADD COLUMN started {bool} NOT NULL DEFAULT FALSE;
ALTER TABLE on_chain_settlements ADD COLUMN completed {int} NOT NULL DEFAULT 0;
ALTER TABLE on_chain_settlements ADD COLUMN failed {int} NOT NULL DEFAULT 0;

-- All transfers of one direction and one currency, which are booked together. received_units is
-- what custody has received for them that is in no account yet.
CREATE TABLE on_chain_legs (
    settlement_id {uuid} NOT NULL,
    direction {text} NOT NULL,
    currency {text} NOT NULL,
    state {text} NOT NULL,
    entry {uuid},
    reason_name {text},
    reason_message {text},
    total_units {amount} NOT NULL {nonneg:total_units},
    transfer_count {int} NOT NULL,
    announced {int} NOT NULL,
    received_units {amount} NOT NULL {nonneg:received_units},
    tx_ids {text} NOT NULL,
    updated_at {int} NOT NULL,
    PRIMARY KEY (settlement_id, direction, currency)
){strict};

-- Transactions that partners have announced; seen_amount counts once transfer_id is there.
CREATE TABLE on_chain_deposits (
    id {uuid} PRIMARY KEY NOT NULL,
    settlement_id {uuid} NOT NULL,
    partner_id {uuid} NOT NULL,
    partner_enterprise_id {text} NOT NULL,
    go_account_id {uuid} NOT NULL,
    external_settlement_id {text} NOT NULL,
    currency {text} NOT NULL,
    partner_currency {text} NOT NULL,
    on_chain_tx_id {text} NOT NULL,
    seen_amount {amount} NOT NULL {nonneg:seen_amount},
    transfer_id {text},
    signed_request {uuid} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};
CREATE INDEX on_chain_deposits_of_settlement ON on_chain_deposits (settlement_id);
CREATE INDEX on_chain_deposits_of_name ON on_chain_deposits (partner_enterprise_id, external_settlement_id);
CREATE INDEX on_chain_deposits_by_time ON on_chain_deposits (created_at, id);
