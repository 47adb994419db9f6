-- The marketplace's schema, version 3. Money is piconero in INTEGER, times are Unix seconds.
CREATE TABLE schema_migrations (
    version     INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    applied_at  INTEGER NOT NULL
);

CREATE TABLE settings (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE users (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    role        TEXT NOT NULL CHECK (role IN ('buyer', 'vendor', 'admin')),
    created_at  INTEGER NOT NULL
);

CREATE TABLE orders (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    reference       TEXT NOT NULL UNIQUE,
    buyer_id        INTEGER NOT NULL REFERENCES users (id),
    vendor_id       INTEGER NOT NULL REFERENCES users (id),
    status          TEXT NOT NULL CHECK (status IN ('open', 'paid', 'shipped', 'completed', 'cancelled')),
    revision        INTEGER NOT NULL CHECK (revision > 0),
    total_piconero  INTEGER NOT NULL CHECK (total_piconero > 0),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    CHECK (buyer_id <> vendor_id)
);
CREATE INDEX orders_created ON orders (created_at);
CREATE INDEX orders_status ON orders (status);

CREATE TABLE order_items (
    order_id        INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    line            INTEGER NOT NULL,
    title           TEXT NOT NULL,
    price_piconero  INTEGER NOT NULL CHECK (price_piconero > 0),
    PRIMARY KEY (order_id, line)
) WITHOUT ROWID;

CREATE TABLE escrows (
    id               INTEGER PRIMARY KEY,
    order_id         INTEGER NOT NULL UNIQUE REFERENCES orders (id),
    state            TEXT NOT NULL CHECK (state IN ('created', 'funded', 'signing', 'released', 'refunded')),
    amount_piconero  INTEGER NOT NULL CHECK (amount_piconero > 0),
    address          TEXT,
    wallet_name      TEXT,
    funding_txid     TEXT UNIQUE,
    payout_txid      TEXT UNIQUE,
    updated_at       INTEGER NOT NULL,
    -- How it is to end, once somebody decided that; asked: the worker has something to do for it.
    outcome          TEXT CHECK (outcome IN ('released', 'refunded')),
    asked            INTEGER NOT NULL DEFAULT 0 CHECK (asked IN (0, 1)),
    CHECK (state = 'created' OR funding_txid IS NOT NULL)
);
CREATE INDEX escrows_state ON escrows (state, updated_at);

CREATE TABLE escrow_events (
    id         INTEGER PRIMARY KEY,
    escrow_id  INTEGER NOT NULL REFERENCES escrows (id),
    state      TEXT NOT NULL,
    time       INTEGER NOT NULL
);
CREATE INDEX escrow_events_escrow ON escrow_events (escrow_id);

CREATE TABLE deposits (
    txid             TEXT PRIMARY KEY,
    escrow_id        INTEGER NOT NULL REFERENCES escrows (id),
    amount_piconero  INTEGER NOT NULL CHECK (amount_piconero > 0)
) WITHOUT ROWID;

CREATE TABLE payouts (
    id               INTEGER PRIMARY KEY,
    escrow_id        INTEGER NOT NULL UNIQUE REFERENCES escrows (id),
    txid             TEXT NOT NULL UNIQUE,
    amount_piconero  INTEGER NOT NULL CHECK (amount_piconero > 0)
);
