"""Accounts of the agency's people, what they sign in with, and their sessions."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_APPROVALS = ("approvals", "calibration_approvals", "policy_approvals")

_UP = """
-- A name stands for one person in approvals and the audit log, so no two accounts have the same, however it is written.
CREATE TABLE accounts (
    account_id text PRIMARY KEY,
    name_hash bytea NOT NULL UNIQUE CHECK (octet_length(name_hash) = 32),
    name_sealed bytea NOT NULL,
    password_hash text,
    totp_sealed bytea,
    totp_offered bytea,
    totp_step bigint NOT NULL DEFAULT 0,
    added_at timestamptz NOT NULL,
    disabled_at timestamptz
);

CREATE TABLE account_grants (
    account_id text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    role text NOT NULL,
    area text,
    given_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX account_grants_once ON account_grants (account_id, role, COALESCE(area, ''));

CREATE TABLE account_passkeys (
    credential_id bytea PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    label_sealed bytea NOT NULL,
    transports text[] NOT NULL,
    added_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX account_passkeys_by_account ON account_passkeys (account_id);

CREATE TABLE account_recovery_codes (
    account_id text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    PRIMARY KEY (account_id, code_hash)
);

-- Links, sign-ins that wait for their second factor, and challenges of passkeys: by digest, each good once.
CREATE TABLE account_tokens (
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    kind text NOT NULL,
    account_id text REFERENCES accounts ON DELETE CASCADE,
    failures smallint NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX account_tokens_by_account ON account_tokens (account_id);
CREATE INDEX account_tokens_by_expiry ON account_tokens (expires_at);

CREATE TABLE account_sessions (
    session_hash bytea PRIMARY KEY CHECK (octet_length(session_hash) = 32),
    session_id text NOT NULL UNIQUE,
    account_id text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    form_value text NOT NULL,
    how text NOT NULL,
    must_set_up boolean NOT NULL,
    address_hash bytea NOT NULL,
    signed_in_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX account_sessions_by_account ON account_sessions (account_id, address_hash);

-- Wrong passwords and codes in a row, by keyed digest of whom they were tried for and from where.
CREATE TABLE account_attempts (
    key_hash bytea PRIMARY KEY CHECK (octet_length(key_hash) = 32),
    failures integer NOT NULL,
    last_at timestamptz NOT NULL
);
"""

_DOWN = """
DROP TABLE account_attempts, account_sessions, account_tokens, account_recovery_codes, account_passkeys, account_grants, accounts;
"""


def upgrade() -> None:
    """Add the tables, and let approvals say that a name is that of somebody signed in."""
    op.execute(_UP)
    for table in _APPROVALS:
        _allow(table, "'as_given', 'account'")


def downgrade() -> None:
    """Drop them; names of people who were signed in become names as given."""
    for table in _APPROVALS:
        op.execute(f"UPDATE {table} SET name_source = 'as_given'")  # noqa: S608 - fixed
        _allow(table, "'as_given'")
    op.execute(_DOWN)


def _allow(table: str, sources: str) -> None:
    op.execute(
        f"ALTER TABLE {table} DROP CONSTRAINT {table}_name_source_check,"
        f" ADD CONSTRAINT {table}_name_source_check CHECK (name_source IN ({sources}))"
    )
