"""Bundles, what terminals are asked to be and say that they are, settings from afar, and roll-outs."""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE update_bundles (
    bundle_id text PRIMARY KEY,
    kind text NOT NULL,
    number integer NOT NULL,
    label text NOT NULL,
    size bigint NOT NULL,
    -- As it was signed (`protocol.bundle.BundleManifest`), but for its files.
    manifest jsonb NOT NULL,
    key_id text NOT NULL,
    added_at timestamptz NOT NULL,
    added_by_sealed bytea NOT NULL,
    -- Its file is gone; who was asked to run it stays to be read.
    removed_at timestamptz
);
CREATE INDEX update_bundles_by_number ON update_bundles (kind, number DESC);

CREATE TABLE terminal_settings (
    scope text NOT NULL CHECK (scope IN ('fleet', 'area', 'terminal')),
    -- Code of the area, id of the terminal; empty for the fleet.
    target text NOT NULL,
    settings jsonb NOT NULL,
    number integer NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by_sealed bytea NOT NULL,
    reason_sealed bytea NOT NULL,
    PRIMARY KEY (scope, target),
    CHECK ((scope = 'fleet') = (target = ''))
);

CREATE TABLE rollouts (
    rollout_id text PRIMARY KEY,
    place bigint GENERATED ALWAYS AS IDENTITY,
    -- Either a bundle or the settings of an area or of the fleet.
    bundle_id text REFERENCES update_bundles,
    settings jsonb,
    scope text,
    target text,
    -- Null for the whole fleet.
    areas text[],
    plan jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'running', 'paused', 'done', 'aborted', 'dropped')),
    phase integer NOT NULL,
    phase_since timestamptz,
    why text,
    version integer NOT NULL DEFAULT 1,
    made_at timestamptz NOT NULL,
    made_by_sealed bytea NOT NULL,
    reason_sealed bytea NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    CHECK ((bundle_id IS NULL) <> (settings IS NULL)),
    CHECK ((settings IS NULL) = (scope IS NULL) AND (scope IS NULL) = (target IS NULL))
);
CREATE INDEX rollouts_in_effect ON rollouts (place DESC) WHERE state IN ('running', 'paused', 'done');

CREATE TABLE rollout_members (
    rollout_id text NOT NULL REFERENCES rollouts ON DELETE CASCADE,
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    phase integer NOT NULL,
    released_at timestamptz,
    is_left_out boolean NOT NULL DEFAULT false,
    standing text NOT NULL DEFAULT 'ahead',
    PRIMARY KEY (rollout_id, terminal_id)
);
CREATE INDEX rollout_members_of ON rollout_members (terminal_id);

CREATE TABLE desired_states (
    terminal_id text PRIMARY KEY REFERENCES terminals ON DELETE CASCADE,
    number integer NOT NULL,
    -- What of `protocol.desired.DesiredState` changes: door, bundles, shadow and settings.
    wanted jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    -- When it was last given to the broker after it changed.
    sent_at timestamptz
);
CREATE INDEX desired_states_unsent ON desired_states (terminal_id) WHERE sent_at IS NULL;

-- What a terminal signed of itself (`protocol.desired.ReportedState`), and since when it is not what it was asked to be.
ALTER TABLE terminals ADD COLUMN reported jsonb, ADD COLUMN reported_at timestamptz, ADD COLUMN reported_said_at timestamptz,
    ADD COLUMN behind_since timestamptz;
"""

_DOWN = """
ALTER TABLE terminals DROP COLUMN reported, DROP COLUMN reported_at, DROP COLUMN reported_said_at, DROP COLUMN behind_since;
DROP TABLE desired_states;
DROP TABLE rollout_members;
DROP TABLE rollouts;
DROP TABLE terminal_settings;
DROP TABLE update_bundles;
"""


def upgrade() -> None:
    """Make tables and columns."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
