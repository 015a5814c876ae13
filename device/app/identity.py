"""What stands in every record of a terminal about itself."""

from __future__ import annotations

from importlib.metadata import version

from device.runner.records import Identity
from device.vision.inference import Networks
from protocol.keys import PublicJwk
from protocol.records import NetworkUse


def identity_of(
    networks: Networks,
    *,
    fleet_id: str,
    terminal_id: str,
    is_simulated: bool,
    fleet_sealing_key: PublicJwk | None = None,
) -> Identity:
    """Return what stands in every record made with these networks, and to whom secrets are sealed."""
    used = [networks.detection, networks.landmarks, networks.eyelids, networks.features]
    if networks.texture is not None:
        used.append(networks.texture)
    return Identity(
        fleet_id=fleet_id,
        terminal_id=terminal_id,
        software=version("lifecert"),
        networks=tuple(
            NetworkUse(name=network.manifest.name, sha256=network.digest, runtime=network.runtime) for network in used
        ),
        features_name=networks.features.manifest.name,
        features_sha256=networks.features.digest,
        features_runtime=networks.features.runtime,
        fleet_sealing_key=fleet_sealing_key,
        is_simulated=is_simulated,
    )
