-- One transfer between two accounts: what a ledger inside a PostgreSQL function can be reduced to
-- without giving up uniqueness, balances that are never negative, entries, and a message to be sent.
CREATE TABLE accounts (
    id      integer PRIMARY KEY,
    balance numeric(39, 0) NOT NULL CHECK (balance >= 0)
);

CREATE TABLE transfers (
    id          uuid PRIMARY KEY,
    external_id text NOT NULL UNIQUE,
    source      integer NOT NULL,
    destination integer NOT NULL,
    amount      numeric(39, 0) NOT NULL CHECK (amount > 0),
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE entries (
    transfer uuid NOT NULL,
    account  integer NOT NULL,
    change   numeric(39, 0) NOT NULL,
    balance  numeric(39, 0) NOT NULL,
    PRIMARY KEY (transfer, account)
);

CREATE TABLE outbox (
    transfer uuid PRIMARY KEY,
    due_at   timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION transfer(source integer, destination integer, amount numeric) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    id    uuid := gen_random_uuid();
    ours  numeric;
    their numeric;
BEGIN
    -- In the order of their ids, so that two transfers never wait for each other.
    PERFORM 1 FROM accounts a WHERE a.id IN (source, destination) ORDER BY a.id FOR UPDATE;
    UPDATE accounts a SET balance = a.balance - transfer.amount WHERE a.id = source
        RETURNING a.balance INTO ours;
    UPDATE accounts a SET balance = a.balance + transfer.amount WHERE a.id = destination
        RETURNING a.balance INTO their;
    INSERT INTO transfers VALUES (id, id::text, source, destination, amount);
    INSERT INTO entries VALUES (id, source, -amount, ours), (id, destination, amount, their);
    INSERT INTO outbox VALUES (id);
    RETURN id;
END $$;

INSERT INTO accounts SELECT n, 1000000000000 FROM generate_series(1, 1000) n;
