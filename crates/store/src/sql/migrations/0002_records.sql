-- The records of the network. Times are microseconds since 1970, amounts base units.
-- What a column means is said at the record of the same name in the rules.

CREATE TABLE enterprises (
    id {text} PRIMARY KEY NOT NULL,
    name {text} NOT NULL,
    trust_org {text} NOT NULL,
    licensed {bool} NOT NULL,
    go_account {uuid},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};

CREATE TABLE users (
    id {uuid} PRIMARY KEY NOT NULL,
    name {text} NOT NULL,
    role {text},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};

CREATE TABLE memberships (
    user_id {uuid} NOT NULL,
    enterprise_id {text} NOT NULL,
    role {text},
    updated_at {int} NOT NULL,
    PRIMARY KEY (user_id, enterprise_id)
){strict};

CREATE TABLE access_tokens (
    id {uuid} PRIMARY KEY NOT NULL,
    user_id {uuid} NOT NULL,
    label {text} NOT NULL,
    hash {bytes} NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- The token sealed under the master key; NULL for tokens of which only the hash is kept.
    sealed {bytes},
    scopes {text} NOT NULL,
    networks {text} NOT NULL,
    expires_at {int},
    revoked_at {int},
    created_at {int} NOT NULL
){strict};

-- When a token was last used; written at most once a minute.
CREATE TABLE token_uses (
    token_id {uuid} PRIMARY KEY NOT NULL,
    used_at {int} NOT NULL
){strict};

CREATE TABLE go_accounts (
    id {uuid} PRIMARY KEY NOT NULL,
    enterprise_id {text} NOT NULL,
    label {text} NOT NULL,
    created_at {int} NOT NULL
){strict};
CREATE INDEX go_accounts_of_enterprise ON go_accounts (enterprise_id);

CREATE TABLE signing_keys (
    id {uuid} PRIMARY KEY NOT NULL,
    go_account_id {uuid} NOT NULL,
    public_key {bytes} NOT NULL CHECK (length(public_key) = 33),
    given_as {text} NOT NULL,
    label {text} NOT NULL,
    revoked_at {int},
    created_at {int} NOT NULL
){strict};
CREATE INDEX signing_keys_of_account ON signing_keys (go_account_id);

CREATE TABLE currencies (
    ticker {text} PRIMARY KEY NOT NULL,
    backing {text} NOT NULL,
    decimals {int} NOT NULL,
    custody_source {text} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};

CREATE TABLE partner_configurations (
    enterprise_id {text} NOT NULL,
    institution_identifier {text} NOT NULL,
    version {int} NOT NULL,
    document {text} NOT NULL,
    updated_at {int} NOT NULL,
    PRIMARY KEY (enterprise_id, institution_identifier)
){strict};

CREATE TABLE clients (
    id {uuid} PRIMARY KEY NOT NULL,
    enterprise_id {text} NOT NULL UNIQUE,
    trust_org {text} NOT NULL,
    go_account_id {uuid} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};

CREATE TABLE partners (
    id {uuid} PRIMARY KEY NOT NULL,
    enterprise_id {text} NOT NULL,
    client_id {uuid} NOT NULL,
    go_account_id {uuid} NOT NULL,
    trust_org {text} NOT NULL,
    institution_id {uuid},
    institution_identifier {text} NOT NULL,
    name {text} NOT NULL,
    key_schema {text} NOT NULL,
    broker {bool} NOT NULL,
    active {bool} NOT NULL,
    stable {bool} NOT NULL,
    dispute_window_minutes {int},
    top_up_window_minutes {int},
    allocation_policies_enabled {bool} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    UNIQUE (enterprise_id, institution_identifier)
){strict};
CREATE INDEX partners_by_age ON partners (created_at, id);

CREATE TABLE connections (
    id {uuid} PRIMARY KEY NOT NULL,
    name {text} NOT NULL,
    client_id {uuid} NOT NULL,
    client_enterprise_id {text} NOT NULL,
    go_account_id {uuid} NOT NULL,
    partner_id {uuid} NOT NULL,
    partner_enterprise_id {text} NOT NULL,
    network_account_id {uuid} NOT NULL UNIQUE,
    active {bool} NOT NULL,
    nonce {text} NOT NULL,
    signed_request {uuid} NOT NULL,
    proof {text} NOT NULL,
    state {text} NOT NULL,
    sealed_key {bytes},
    partners_connection_id {text},
    partners_client_id {text},
    reason_name {text},
    reason_message {text},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};
CREATE INDEX connections_of_client ON connections (client_enterprise_id, created_at, id);
CREATE INDEX connections_of_partner ON connections (partner_enterprise_id, created_at, id);

CREATE TABLE allocations (
    id {uuid} PRIMARY KEY NOT NULL,
    kind {text} NOT NULL,
    connection_id {uuid} NOT NULL,
    client_id {uuid} NOT NULL,
    client_enterprise_id {text} NOT NULL,
    partner_id {uuid} NOT NULL,
    partner_enterprise_id {text} NOT NULL,
    go_account_id {uuid} NOT NULL,
    network_account_id {uuid} NOT NULL,
    currency {text} NOT NULL,
    partner_currency {text} NOT NULL,
    amount {amount} NOT NULL {nonneg:amount},
    client_external_id {text} NOT NULL,
    partner_external_id {text},
    notes {text},
    initiated_by {uuid} NOT NULL,
    signed_request {uuid} NOT NULL,
    answering {text} NOT NULL,
    state {text} NOT NULL,
    retriable {bool} NOT NULL,
    reason_name {text},
    reason_message {text},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};
CREATE INDEX allocations_of_client ON allocations (client_enterprise_id, created_at, id);
CREATE INDEX allocations_of_partner ON allocations (partner_enterprise_id, created_at, id);
CREATE INDEX allocations_open ON allocations (created_at, id) WHERE state = 'reserved';

CREATE TABLE settlements (
    id {uuid} PRIMARY KEY NOT NULL,
    partner_id {uuid} NOT NULL,
    partner_enterprise_id {text} NOT NULL,
    external_id {text} NOT NULL,
    form {text} NOT NULL,
    content_digest {bytes} NOT NULL CHECK (length(content_digest) = 32),
    notes {text},
    initiated_by {uuid} NOT NULL,
    signed_request {uuid} NOT NULL,
    transfer_count {int} NOT NULL,
    state {text} NOT NULL,
    reason_name {text},
    reason_message {text},
    finalized_at {int},
    entry {uuid},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};
CREATE INDEX settlements_of_partner ON settlements (partner_enterprise_id, created_at, id);

CREATE TABLE participations (
    settlement_id {uuid} NOT NULL,
    connection_id {uuid} NOT NULL,
    client_id {uuid} NOT NULL,
    party {bool} NOT NULL,
    counterparty {bool} NOT NULL,
    sends {bool} NOT NULL,
    receives {bool} NOT NULL,
    PRIMARY KEY (settlement_id, connection_id)
){strict};
CREATE INDEX participations_of_client ON participations (client_id, settlement_id);

CREATE TABLE settlement_transfers (
    id {uuid} PRIMARY KEY NOT NULL,
    settlement_id {uuid} NOT NULL,
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
){strict};
CREATE INDEX transfers_of_settlement ON settlement_transfers (settlement_id, position);
CREATE INDEX transfers_of_source ON settlement_transfers (source_client_id, updated_at, id);
CREATE INDEX transfers_of_destination ON settlement_transfers (destination_client_id, updated_at, id);

CREATE TABLE deposits (
    id {uuid} PRIMARY KEY NOT NULL,
    go_account_id {uuid} NOT NULL,
    currency {text} NOT NULL,
    amount {amount} NOT NULL {nonneg:amount},
    custody_source {text} NOT NULL,
    external_reference {text} NOT NULL,
    created_at {int} NOT NULL
){strict};
CREATE INDEX deposits_of_account ON deposits (go_account_id, created_at, id);

CREATE TABLE withdrawals (
    id {uuid} PRIMARY KEY NOT NULL,
    go_account_id {uuid} NOT NULL,
    currency {text} NOT NULL,
    amount {amount} NOT NULL {nonneg:amount},
    custody_source {text} NOT NULL,
    external_reference {text} NOT NULL,
    state {text} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};
CREATE INDEX withdrawals_of_account ON withdrawals (go_account_id, created_at, id);

CREATE TABLE claims (
    scope {text} NOT NULL,
    kind {text} NOT NULL,
    name {text} NOT NULL,
    subject {uuid} NOT NULL,
    digest {bytes},
    PRIMARY KEY (scope, kind, name)
){strict};

CREATE TABLE signed_requests (
    id {uuid} PRIMARY KEY NOT NULL,
    commit_sequence {int} NOT NULL,
    enterprise_id {text} NOT NULL,
    public_key {bytes} NOT NULL CHECK (length(public_key) = 33),
    payload {bytes} NOT NULL,
    sealed {bool} NOT NULL,
    digest {bytes} NOT NULL CHECK (length(digest) = 32),
    signature {text} NOT NULL,
    received_at {int} NOT NULL
){strict};
CREATE INDEX signed_requests_of_commit ON signed_requests (commit_sequence, id);

CREATE TABLE outbox (
    subject {uuid} PRIMARY KEY NOT NULL,
    partner_id {uuid} NOT NULL,
    -- What is to be said; NULL once everything is said.
    call {text},
    attempts {int} NOT NULL,
    due_at {int} NOT NULL,
    leased_until {int} NOT NULL,
    last_error {text},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};
CREATE INDEX outbox_due ON outbox (due_at, subject) WHERE call IS NOT NULL;

CREATE TABLE open_totals (
    partner_id {uuid} NOT NULL,
    currency {text} NOT NULL,
    units {amount} NOT NULL {nonneg:units},
    PRIMARY KEY (partner_id, currency)
){strict};

CREATE TABLE operator_acts (
    id {uuid} PRIMARY KEY NOT NULL,
    user_id {uuid},
    act {text} NOT NULL,
    subject {text} NOT NULL,
    detail {text} NOT NULL,
    at {int} NOT NULL
){strict};
CREATE INDEX operator_acts_by_time ON operator_acts (at, id);

CREATE TABLE balances (
    -- 0 custody, 1 Go Account, 2 network account.
    owner_kind {int} NOT NULL,
    owner {uuid} NOT NULL,
    currency {text} NOT NULL,
    available {amount} NOT NULL,
    held {amount} NOT NULL {nonneg:held},
    -- The journal entry that last moved it.
    entry {int} NOT NULL,
    PRIMARY KEY (owner_kind, owner, currency),
    CHECK (owner_kind = 0 OR available >= {zero})
){strict};

CREATE TABLE holds (
    id {uuid} PRIMARY KEY NOT NULL,
    owner_kind {int} NOT NULL,
    owner {uuid} NOT NULL,
    currency {text} NOT NULL,
    amount {amount} NOT NULL {nonneg:amount},
    purpose {text} NOT NULL,
    is_open {bool} NOT NULL
){strict};

CREATE TABLE journal (
    number {int} PRIMARY KEY NOT NULL,
    commit_sequence {int} NOT NULL,
    id {uuid} NOT NULL UNIQUE,
    cause {text} NOT NULL,
    subject {uuid} NOT NULL,
    signed_request {uuid},
    at {int} NOT NULL
){strict};
CREATE INDEX journal_of_subject ON journal (subject);

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
){strict};
