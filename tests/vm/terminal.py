"""What is asked of the terminal in the machine, whichever way it came there."""

from __future__ import annotations

import json
from typing import Any

from tests.vm.machine import Machine, MachineFailed
from tests.vm.seed import STRANGER

START_S, CLAIM_S = 900.0, 600.0
"""Longest a start and a claim may take on a busy computer."""
IDLE = r"session state=idle"
"""What its log says once it takes claims."""


def properties(text: str) -> dict[str, str]:
    """Read what `systemctl show` prints."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def wait_services(machine: Machine) -> dict[str, str]:
    """Wait until the start is over and return the state of both services.

    Raises:
        MachineFailed: if one is not active, or any unit failed.
    """
    machine.run("systemctl is-system-running --wait", timeout_s=START_S, may_fail=True)
    states = {unit: machine.run(f"systemctl is-active {unit}", may_fail=True).strip() for unit in
              ("lifecert-terminal", "lifecert-uplink", "lifecert-screen.socket")}  # fmt: skip
    failed = machine.run("systemctl list-units --failed --plain --no-legend").strip()
    if set(states.values()) != {"active"} or failed:
        raise MachineFailed(f"services: {states}, failed: {failed or 'none'}")
    return states


def claim_order() -> str:
    """Return the shell line that presents somebody the terminal has no reference of."""
    return "ask '" + json.dumps({"do": "present_claim", "number": STRANGER}) + "'"


def present_claim(machine: Machine) -> dict[str, Any]:
    """Present somebody the terminal has no reference of, and return its answer once a record is stored.

    Raises:
        MachineFailed: if there is none.
    """
    answer: dict[str, Any] = json.loads(machine.run(claim_order(), timeout_s=CLAIM_S))
    if not answer.get("ok") or answer["outcome"] != "no_reference":
        raise MachineFailed(f"claim: {answer}")
    return answer
