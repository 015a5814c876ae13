"""The policy that the fleet has sent, for whoever looks at a terminal without running it."""

from __future__ import annotations

from device.adapters.policy_file import FilePolicyStore
from device.adapters.signer_keyfile import load_fleet_identity
from device.settings import Settings
from protocol.policy import Policy


def policy_in_force(settings: Settings) -> Policy | None:
    """Return the policy in force; None where there is none, or none that these programs can use.

    Raises:
        KeyUnusable: if the fleet's identity cannot be read, so that nothing says whose policy it is.
    """
    fleet = load_fleet_identity(settings.keys.fleet, fleet_id=settings.terminal.fleet_id)
    return FilePolicyStore(settings.policy_path, fleet.signing_key).current()
