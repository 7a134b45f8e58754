-- Clients and connections that the operator has suspended; NULL where it has not.

ALTER TABLE clients ADD COLUMN suspended_at {int};
-- Whether its client wants the connection to be active once it is suspended no more.
ALTER TABLE connections ADD COLUMN wanted_active {bool};
