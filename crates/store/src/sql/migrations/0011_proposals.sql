-- Acts on money that one operator proposes and another approves.

-- How they are approved. There is one row, 0, once that was ever set.
CREATE TABLE approval_policy (
    id {int} PRIMARY KEY NOT NULL CHECK (id = 0),
    second_operator_required {bool} NOT NULL,
    proposals_expire_after_s {int} NOT NULL,
    updated_at {int} NOT NULL
){strict};

CREATE TABLE proposals (
    id {uuid} PRIMARY KEY NOT NULL,
    document {text} NOT NULL,
    proposed_by {uuid} NOT NULL,
    state {text} NOT NULL,
    decided_by {uuid},
    notes {text},
    decided_at {int},
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL
){strict};
CREATE INDEX proposals_by_time ON proposals (created_at, id);
CREATE INDEX proposals_of_state ON proposals (state, created_at, id);

-- The latest proposal about each thing.
CREATE TABLE latest_proposals (
    subject {text} PRIMARY KEY NOT NULL,
    proposal_id {uuid} NOT NULL
){strict}{sqlite}, WITHOUT ROWID{end};
