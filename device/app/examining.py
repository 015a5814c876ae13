"""The examination of a new slot, before anybody meets what is in it: it must know who is who, and that paper does not live.

It runs from what is to be examined: the new programs, the new networks or the new voices. Keys are thrown away, nothing is stored or sent.
"""

from __future__ import annotations

from pathlib import Path

from device.adapters.attachments_sqlite import SCHEMA as ATTACHMENTS
from device.adapters.commands_sqlite import SCHEMA as COMMANDS
from device.adapters.inference_tflite import open_networks
from device.adapters.outbox_sqlite import SCHEMA as OUTBOX
from device.adapters.references_sqlite import SCHEMA as REFERENCES
from device.adapters.rule_packs_file import FileRulePackStore
from device.adapters.signer_keyfile import load_fleet_identity
from device.app.clip import ReferencePicture, play_session
from device.app.golden import check_golden
from device.app.policy import policy_in_force
from device.app.voice_check import check_pack
from device.database import check_version
from device.errors import DeviceError
from device.settings import Settings
from device.simulated.actor import open_actor
from device.simulated.clips import Clip, encode_png
from device.simulated.entropy import SeededEntropy
from device.updates.in_force import VOICE_PACK
from device.vision.inference import Networks
from protocol.documents import check_digit
from protocol.evidence import EvidenceKind
from protocol.outcomes import Outcome
from protocol.policy import PathName, PathPolicy, Policy, default_policy
from protocol.references import CaptureKind

_LIVING, _PRINT = "live_om.mp4", "print_om.mp4"
"""A made-up person who answers prompts, and a print of their face, turned by hand."""
_NUMBER = "99999919400101001"
_SEED = 1


class NotFit(DeviceError):
    """Something that must not run; the message says why."""


def people_folder() -> Path:
    """Return where the made-up people lie: beside these programs, in a slot as in a checkout."""
    return Path(__file__).resolve().parents[2] / "demo" / "people"


def examine(settings: Settings, *, voices: Path | None = None, people: Path | None = None) -> list[str]:
    """Look at the networks and voices that these settings name and at what the terminal keeps, and play two sessions.

    Args:
        settings: of the terminal; which networks, which policy.
        voices: folder of voice packs that are to run.
        people: where the clips lie.

    Returns:
        What was found, in lines.

    Raises:
        NotFit: if it must not run.
        DeviceError: the same, from deeper within.
    """
    terminal = settings.terminal
    networks = open_networks(
        terminal.models_dir, features=terminal.features, texture=terminal.texture, runtime=terminal.runtime
    )
    policy = _policy(settings)
    _check_kept(settings)
    found = [
        f"network {each.name}: as it was made, {each.largest_difference:.1%} apart" for each in check_golden(networks)
    ]
    found += _voices(voices)
    folder = people or people_folder()
    outcome = _session(_LIVING, folder, networks, policy)
    if outcome is not Outcome.CERTIFIED:
        raise NotFit(f"a living person is not certified but {outcome}")
    outcome = _session(_PRINT, folder, networks, policy)
    if outcome is Outcome.CERTIFIED:
        raise NotFit("a print is certified")
    return [*found, f"a living person is certified, a print is not ({outcome})"]


def _policy(settings: Settings) -> Policy:
    """Return the policy in force, or the shipped one, with what a file that no light falls on can show."""
    in_force = policy_in_force(settings)
    if in_force is None and settings.policy_path.exists():
        raise NotFit(
            f"policy {settings.policy_path.name}: these programs cannot use the one that lies here; they would certify nobody"
        )
    policy = in_force or default_policy()
    features = settings.terminal.features
    if features not in policy.comparison:
        raise NotFit(
            f"policy {policy.policy_version}: no thresholds for {features}; it would certify nobody: let the office publish a"
            " policy with them first"
        )
    usual = default_policy()
    challenge = usual.challenge.model_copy(update={"answer_timeout_s": 4.0, "rest_timeout_s": 5.0})
    timers = usual.timers.model_copy(update={"acquire_s": 5.0})
    unlit = PathPolicy(required=(EvidenceKind.CHALLENGE, EvidenceKind.CONTINUITY))
    return usual.model_copy(
        update={
            "comparison": policy.comparison,
            "paths": {PathName.STANDARD: unlit},
            "challenge": challenge,
            "timers": timers,
        }
    )


def _check_kept(settings: Settings) -> None:
    """See whether these programs know the form of what the terminal keeps. Raises `DeviceError` if not.

    The staff list is not looked at: it is sealed with a key that the terminal's own service has alone.
    """
    fleet = load_fleet_identity(settings.keys.fleet, fleet_id=settings.terminal.fleet_id)
    packs = settings.rule_packs_path
    if packs.exists() and FileRulePackStore(packs, fleet.signing_key).issued_at() is None:
        raise NotFit(f"rule packs {packs.name}: these programs cannot use those that lie here")
    for path, schema in (
        (settings.references_path, REFERENCES),
        (settings.outbox_path, OUTBOX),
        (settings.attachments_path, ATTACHMENTS),
        (settings.commands_path, COMMANDS),
    ):
        check_version(path, schema)


def _session(clip: str, folder: Path, networks: Networks, policy: Policy) -> Outcome:
    # Always the first picture of the living one: the print must fail as a print, not as somebody else.
    first = next(iter(Clip(folder / _LIVING).pictures()))
    record = play_session(
        _NUMBER + check_digit(_NUMBER),
        open_actor(folder / clip, is_looped=False),
        networks=networks,
        policy=policy,
        reference=ReferencePicture(encode_png(first), "reference.png", CaptureKind.LIVE),
        entropy=SeededEntropy(_SEED),
    )
    return record.decision.outcome


def _voices(folder: Path | None) -> list[str]:
    if folder is None:
        return []
    packs = sorted(path.parent for path in folder.glob(f"*/{VOICE_PACK}"))
    if not packs:
        raise NotFit("no voice pack in it")
    for pack in packs:
        if problems := check_pack(pack).problems:
            raise NotFit(f"voice pack {pack.name}: {problems[0]}")
    return [f"voice pack {pack.name}: whole" for pack in packs]
