-- How far business time is ahead of real time, in microseconds, where the installation was made
-- with a test clock; NULL where it keeps real time. Neither ever becomes the other.
ALTER TABLE chain_heads ADD COLUMN clock_ahead_us {int} CHECK (clock_ahead_us >= 0);
