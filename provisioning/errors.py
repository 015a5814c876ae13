"""Errors of the technician's tool; each message says what is wrong and what to do."""

from __future__ import annotations

import json

from provisioning.words import words


class ProvisioningError(Exception):
    """The root of everything the tool raises on purpose."""

    said = "failed"
    """Its key in `first_boot/words.txt`: what a new terminal's card says of it."""
    exit_code = 1


class AlreadyThere(ProvisioningError):
    """Something that would be replaced exists; nothing was changed."""


class FileUnusable(ProvisioningError):
    """A file that cannot be read, written, or is not what it should be; nothing was changed."""


class WrongUse(ProvisioningError):
    """What was typed on the command line does not go together, or cannot be; nothing was changed."""

    exit_code = 2


class SettingsRefused(FileUnusable):
    """Settings with which the terminal would not start, each with its file and key; nothing was changed."""

    exit_code = 78
    """EX_CONFIG, as the terminal's own program ends. Source: sysexits.h."""


class ClaimOfOther(FileUnusable):
    """The claim is for another terminal than this one; nobody was asked for anything."""

    said = "claim_other_terminal"


class WrongImage(ProvisioningError):
    """What should be a Raspberry Pi OS image or card is none, or not one of a kind that can be set up; nothing was changed."""


class DeviceRefused(ProvisioningError):
    """A device that must not be written to: it is in use, no card, or too small; nothing was changed."""


class NotWritten(ProvisioningError):
    """Writing a card was cut off or what was read back is something else; running it again repairs it."""


class ToolMissing(ProvisioningError):
    """A program that is needed is not installed on this computer."""


class ListRefused(ProvisioningError):
    """A list with something wrong in it, each with its line; nothing was written."""


class SelftestFailed(ProvisioningError):
    """The terminal program could not be run or did not give a report."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Ended(ProvisioningError):
    """The terminal's program, run with whoever sits here before it, has said what is wrong; there is nothing to add."""

    def __init__(self, exit_code: int) -> None:
        super().__init__()
        self.exit_code = exit_code


class FleetUnreachable(ProvisioningError):
    """The fleet gave no answer, or none that is of use; the same can be tried again."""

    said = "no_answer"


class NotTrusted(FleetUnreachable):
    """Whoever answers has no certificate of the fleet's; the fleet itself may be there at the next try."""

    said = "not_trusted"


class FleetUnavailable(FleetUnreachable):
    """The fleet answers that it can do nothing for this terminal just now; the same can be tried again."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said

    @classmethod
    def of(cls, status: int, body: bytes) -> FleetUnavailable:
        """Return what an answer says, with what to do about it."""
        code, detail = _problem_in(body)
        why = f": {detail[:300]}" if detail else ""
        return cls(
            f"the fleet can do nothing just now ({status}){why}; try again in a minute",
            _said_of(code, otherwise="unavailable"),
        )


class FleetWaits(ProvisioningError):
    """A person at the fleet has to let the terminal in."""

    said = "waits"


class StrangeFleet(ProvisioningError):
    """Whoever answers is not whom the technician was told to trust; nothing secret was said."""

    said = "not_trusted"


class JoinRefused(ProvisioningError):
    """The fleet does not take this terminal as it came."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
        self.said = _said_of(code)

    @classmethod
    def of(cls, status: int, body: bytes) -> JoinRefused:
        """Return what an answer says, with what to do about it."""
        code, detail = _problem_in(body)
        found = words()[_said_of(code)]
        # What is wrong stands in both, and the fleet's is the closer one.
        does = f"{detail[:300]}; {found.advice}" if detail else found.en
        return cls(f"the fleet refused ({status}): {does}", code)


def _problem_in(body: bytes) -> tuple[str, str]:
    try:
        found = json.loads(body)
        return str(found["code"]), str(found["detail"])
    except (ValueError, TypeError, KeyError):
        return "", ""


def _said_of(code: str, *, otherwise: str = "refused") -> str:
    return code if code in words() else otherwise
