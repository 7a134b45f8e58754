-- The hash chain of commits. A lane is a chain of its own; there is one, 0.

CREATE TABLE chain_heads (
    lane {int} PRIMARY KEY NOT NULL,
    sequence {int} NOT NULL,
    hash {bytes} NOT NULL CHECK (length(hash) = 32),
    time_us {int} NOT NULL,
    last_entry {int} NOT NULL,
    -- How often a commit's outcome had to be asked for.
    probes {int} NOT NULL
){strict};

CREATE TABLE chain (
    lane {int} NOT NULL,
    sequence {int} NOT NULL,
    batch_id {uuid} NOT NULL UNIQUE,
    previous_hash {bytes} NOT NULL CHECK (length(previous_hash) = 32),
    hash {bytes} NOT NULL CHECK (length(hash) = 32),
    time_us {int} NOT NULL,
    first_entry {int} NOT NULL,
    last_entry {int} NOT NULL,
    PRIMARY KEY (lane, sequence)
){strict};

INSERT INTO chain_heads (lane, sequence, hash, time_us, last_entry, probes)
VALUES (0, 0, {hex:0000000000000000000000000000000000000000000000000000000000000000}, 0, 0, 0);
