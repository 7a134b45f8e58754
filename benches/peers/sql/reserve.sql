-- One reservation: an amount moves from available to held, and what it is held for is recorded
-- under the id that the client gave it. The work of our `reserve` as far as it lies in the database,
-- without signatures, evidence and the hash chain.
CREATE TABLE accounts (
    id        integer PRIMARY KEY,
    available numeric(39, 0) NOT NULL CHECK (available >= 0),
    held      numeric(39, 0) NOT NULL CHECK (held >= 0)
);

CREATE TABLE claims (
    name text PRIMARY KEY
);

CREATE TABLE allocations (
    id          uuid PRIMARY KEY,
    external_id text NOT NULL,
    account     integer NOT NULL,
    amount      numeric(39, 0) NOT NULL CHECK (amount > 0),
    status      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX allocations_of_account ON allocations (account, created_at);

CREATE TABLE holds (
    id         uuid PRIMARY KEY,
    account    integer NOT NULL,
    amount     numeric(39, 0) NOT NULL,
    allocation uuid NOT NULL UNIQUE
);

CREATE TABLE postings (
    entry     uuid NOT NULL,
    account   integer NOT NULL,
    bucket    text NOT NULL,
    change    numeric(39, 0) NOT NULL,
    PRIMARY KEY (entry, account, bucket)
);

CREATE TABLE outbox (
    allocation uuid PRIMARY KEY,
    due_at     timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION reserve(account integer, amount numeric) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    id uuid := gen_random_uuid();
BEGIN
    -- The external id and the nonce: each is taken once and for ever.
    INSERT INTO claims VALUES ('id ' || id), ('nonce ' || gen_random_uuid());
    UPDATE accounts a SET available = available - reserve.amount, held = held + reserve.amount
        WHERE a.id = account;
    INSERT INTO allocations VALUES (id, id::text, account, amount, 'reserved');
    INSERT INTO holds VALUES (gen_random_uuid(), account, amount, id);
    INSERT INTO postings VALUES (id, account, 'available', -amount), (id, account, 'held', amount);
    INSERT INTO outbox VALUES (id);
    RETURN id;
END $$;

INSERT INTO accounts SELECT n, 1000000000000, 0 FROM generate_series(1, 1000) n;
