-- Small rows live in the tree of their primary key: on SQLite a table has a tree of row numbers
-- beside it otherwise, and every row is written twice. PostgreSQL has no such tables; there, rows
-- that are changed again and again get room for it on their own page, which spares the indexes.

{sqlite}
ALTER TABLE claims RENAME TO former_claims;
CREATE TABLE claims (
    scope {text} NOT NULL,
    kind {text} NOT NULL,
    name {text} NOT NULL,
    subject {uuid} NOT NULL,
    digest {bytes},
    PRIMARY KEY (scope, kind, name)
){strict}, WITHOUT ROWID;
INSERT INTO claims SELECT * FROM former_claims;
DROP TABLE former_claims;

ALTER TABLE outbox RENAME TO former_outbox;
CREATE TABLE outbox (
    subject {uuid} PRIMARY KEY NOT NULL,
    partner_id {uuid} NOT NULL,
    call {text},
    attempts {int} NOT NULL,
    due_at {int} NOT NULL,
    leased_until {int} NOT NULL,
    last_error {text},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict}, WITHOUT ROWID;
INSERT INTO outbox SELECT * FROM former_outbox;
DROP TABLE former_outbox;

ALTER TABLE open_totals RENAME TO former_open_totals;
CREATE TABLE open_totals (
    partner_id {uuid} NOT NULL,
    currency {text} NOT NULL,
    units {amount} NOT NULL {nonneg:units},
    PRIMARY KEY (partner_id, currency)
){strict}, WITHOUT ROWID;
INSERT INTO open_totals SELECT * FROM former_open_totals;
DROP TABLE former_open_totals;

ALTER TABLE balances RENAME TO former_balances;
CREATE TABLE balances (
    owner_kind {int} NOT NULL,
    owner {uuid} NOT NULL,
    currency {text} NOT NULL,
    available {amount} NOT NULL,
    held {amount} NOT NULL {nonneg:held},
    entry {int} NOT NULL,
    PRIMARY KEY (owner_kind, owner, currency),
    CHECK (owner_kind = 0 OR available >= {zero})
){strict}, WITHOUT ROWID;
INSERT INTO balances SELECT * FROM former_balances;
DROP TABLE former_balances;

ALTER TABLE holds RENAME TO former_holds;
CREATE TABLE holds (
    id {uuid} PRIMARY KEY NOT NULL,
    owner_kind {int} NOT NULL,
    owner {uuid} NOT NULL,
    currency {text} NOT NULL,
    amount {amount} NOT NULL {nonneg:amount},
    purpose {text} NOT NULL,
    is_open {bool} NOT NULL
){strict}, WITHOUT ROWID;
INSERT INTO holds SELECT * FROM former_holds;
DROP TABLE former_holds;

ALTER TABLE postings RENAME TO former_postings;
CREATE TABLE postings (
    entry {int} NOT NULL,
    position {int} NOT NULL,
    currency {text} NOT NULL,
    amount {amount} NOT NULL {nonneg:amount},
    from_kind {int} NOT NULL,
    from_owner {uuid} NOT NULL,
    from_bucket {int} NOT NULL,
    to_kind {int} NOT NULL,
    to_owner {uuid} NOT NULL,
    to_bucket {int} NOT NULL,
    PRIMARY KEY (entry, position)
){strict}, WITHOUT ROWID;
INSERT INTO postings SELECT * FROM former_postings;
DROP TABLE former_postings;

ALTER TABLE participations RENAME TO former_participations;
CREATE TABLE participations (
    settlement_id {uuid} NOT NULL,
    connection_id {uuid} NOT NULL,
    client_id {uuid} NOT NULL,
    party {bool} NOT NULL,
    counterparty {bool} NOT NULL,
    sends {bool} NOT NULL,
    receives {bool} NOT NULL,
    PRIMARY KEY (settlement_id, connection_id)
){strict}, WITHOUT ROWID;
INSERT INTO participations SELECT * FROM former_participations;
DROP TABLE former_participations;

CREATE INDEX outbox_due ON outbox (partner_id, due_at, subject) WHERE call IS NOT NULL;
CREATE INDEX participations_of_client ON participations (client_id, settlement_id);
{end}
{postgres}
ALTER TABLE chain_heads SET (fillfactor = 10);
ALTER TABLE balances SET (fillfactor = 50);
ALTER TABLE open_totals SET (fillfactor = 50);
ALTER TABLE outbox SET (fillfactor = 70);
ALTER TABLE holds SET (fillfactor = 70);
{end}
