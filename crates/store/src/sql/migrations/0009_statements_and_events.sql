-- What every journal entry has left on the accounts that it moved: the lines of their statements.

CREATE TABLE account_entries (
    owner_kind {int} NOT NULL,
    owner {uuid} NOT NULL,
    entry {int} NOT NULL,
    currency {text} NOT NULL,
    available {amount} NOT NULL,
    held {amount} NOT NULL {nonneg:held},
    PRIMARY KEY (owner_kind, owner, entry, currency)
){strict}{sqlite}, WITHOUT ROWID{end};

-- Where in the chain a period begins.
CREATE INDEX chain_by_time ON chain (lane, time_us, sequence);

-- What enterprises are told of, in the order in which it happened. The audience is an enterprise,
-- or empty for the clients that take part in the settlement that is the subject.

CREATE TABLE events (
    audience {text} NOT NULL,
    commit_sequence {int} NOT NULL,
    position {int} NOT NULL,
    kind {text} NOT NULL,
    subject {uuid} NOT NULL,
    connection_id {uuid},
    at {int} NOT NULL,
    PRIMARY KEY (audience, commit_sequence, position)
){strict}{sqlite}, WITHOUT ROWID{end};
