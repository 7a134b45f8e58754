-- What is to be done at a business time; due_at is NULL once it is done.
CREATE TABLE timers (
    kind {text} NOT NULL,
    subject {uuid} NOT NULL,
    due_at {int},
    PRIMARY KEY (kind, subject)
){strict}{sqlite}, WITHOUT ROWID{end};
CREATE INDEX timers_due ON timers (due_at, kind, subject) WHERE due_at IS NOT NULL;

-- What a settlement over the chain has beyond others: in how many currencies each direction is not
-- finished, and whether it was found to be late.
CREATE TABLE on_chain_settlements (
    settlement_id {uuid} PRIMARY KEY NOT NULL,
    gains_unfinished {int} NOT NULL CHECK (gains_unfinished >= 0),
    gains_alerted {bool} NOT NULL,
    losses_unfinished {int} NOT NULL CHECK (losses_unfinished >= 0),
    losses_alerted {bool} NOT NULL
){strict};
