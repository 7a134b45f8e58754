-- What operators did is covered by the hash of the commit that it was done in. NULL in rows from
-- before: no hash covers them.

ALTER TABLE operator_acts ADD COLUMN commit_sequence {int};
CREATE INDEX operator_acts_of_commit ON operator_acts (commit_sequence, id);
CREATE INDEX operator_acts_of_user ON operator_acts (user_id, at, id);
CREATE INDEX operator_acts_of_kind ON operator_acts (act, at, id);
CREATE INDEX operator_acts_of_subject ON operator_acts (subject, at, id);
