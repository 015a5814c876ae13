"""Errors of the technician's tool; each message says what is wrong and what to do."""

from __future__ import annotations


class ProvisioningError(Exception):
    """The root of everything the tool raises on purpose."""


class AlreadyThere(ProvisioningError):
    """Something that would be replaced exists; nothing was changed."""


class FileUnusable(ProvisioningError):
    """A file that cannot be read, written, or is not what it should be; nothing was changed."""


class SelftestFailed(ProvisioningError):
    """The terminal program could not be run or did not give a report."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
