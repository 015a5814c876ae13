"""Errors of the terminal, by what the caller can do about them."""

from __future__ import annotations

from collections.abc import Sequence


class DeviceError(Exception):
    """The root of everything the terminal raises on purpose."""


class NetworkRefused(DeviceError):
    """A network file that must not be used; stop."""


class ModelDigestMismatch(NetworkRefused):
    """A network file whose SHA-256 is not the one its manifest names."""


class ManifestMismatch(NetworkRefused):
    """A network file whose tensors are not those of its manifest, or a set of files with a task missing or doubled."""


class InterpreterUnavailable(NetworkRefused):
    """No interpreter of the wanted kind is installed, or it cannot load the file."""


class GoldenMismatch(NetworkRefused):
    """A network that does not give what it gave when it was made, or has nothing kept to compare with."""


class IncomparableFeatures(DeviceError):
    """Two feature vectors of different networks, key domains or lengths; their similarity has no meaning."""


class SettingsInvalid(DeviceError):
    """A settings file that cannot be used; stop, with exit code 78 (`EX_CONFIG`)."""

    EXIT_CODE = 78

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class OutboxUnavailable(DeviceError):
    """The outbox cannot be read or written now; no session may start, try again."""


class OutboxFull(OutboxUnavailable):
    """The outbox has no room left; no session may start until the fleet has confirmed records."""


class DecommissionRefused(DeviceError):
    """The terminal cannot be decommissioned as it is; the message says what to do."""


class StoreUnusable(DeviceError):
    """A database or key file on the disk that this program must not touch: damaged, or made by a newer version; stop."""


class ReferencesUnavailable(DeviceError):
    """The roster on the disk cannot be read or written now; try again."""


class KeyUnusable(DeviceError):
    """A key file that is missing, damaged, or readable by others; stop."""


class CameraUnavailable(DeviceError):
    """The camera, or the clip that stands in for it, cannot be opened or gives no frames; try again."""


class PictureTooLarge(DeviceError):
    """A picture that does not get small enough to be sent, whatever is left out of it; the camera is in order, take another one."""


class PanelUnavailable(DeviceError):
    """The board with lamp and buttons cannot be opened; try again."""


class StaffUnavailable(DeviceError):
    """The staff list, or how often somebody failed to sign in, cannot be written now; try again."""


class AttachmentsUnavailable(DeviceError):
    """The store of sealed pictures cannot be read or written now; try again."""


class AttachmentsFull(AttachmentsUnavailable):
    """The store of sealed pictures has no room left; no case with pictures until the fleet has confirmed some."""


class ScreenUnavailable(DeviceError):
    """The screen's page cannot be served; stop, and systemd starts the terminal again."""


class RingLightUnavailable(DeviceError):
    """The light around the lens cannot be opened or set; try again."""


class ClipInvalid(DeviceError):
    """A clip description that cannot be used; stop."""


class IllegalEvent(DeviceError):
    """An event that cannot happen in the session's state: a bug of the terminal, never somebody's input."""


class PictureUnsuitable(DeviceError):
    """A picture that does not show exactly one whole face."""


class PolicyUnavailable(DeviceError):
    """The policy file cannot be written now; try again."""


class RulePacksUnavailable(DeviceError):
    """The file of the rule packs cannot be written now; try again."""


class AttestationUnavailable(DeviceError):
    """The file with the fleet's statement about this terminal's key cannot be written now; try again."""


class CommandsUnavailable(DeviceError):
    """The store of the fleet's commands cannot be read or written now; try again."""


class DesiredUnavailable(DeviceError):
    """The file of what the office wants of this terminal cannot be written now; try again."""


class UpdatesUnavailable(DeviceError):
    """A bundle that cannot be kept or put into a slot now: no room, or a disk that does not take it; what runs goes on, try again."""


class RestartAsked(DeviceError):
    """The service ends to be started anew by systemd: the fleet asks for it, or there is something newer to start from."""


class PrinterUnavailable(DeviceError):
    """The printer cannot be opened or takes nothing now; sessions go on without it."""


class LinkDown(DeviceError):
    """The broker cannot be reached, refused the connection, or was lost; try again later."""


class StickUnusable(DeviceError):
    """A courier stick that cannot be worked on; nothing is lost. The message says what to do, `fault` is for texts on the screen."""

    def __init__(self, message: str, fault: str) -> None:
        super().__init__(message)
        self.fault = fault
        """One of `protocol.stick.StickFault`."""


class StickMissing(StickUnusable):
    """No stick is mounted there; plug one in."""


class StickRemoved(StickUnusable):
    """The stick went away in the middle; plug it in and start again."""


class StickFull(StickUnusable):
    """The stick has too little room; make some, or take another one."""


class StickReadOnly(StickUnusable):
    """The stick cannot be written to."""


class StickForeign(StickUnusable):
    """The stick belongs to another fleet, or carries nothing for this terminal; take another one."""


class SoundUnreadable(DeviceError):
    """A sound file that cannot be decoded, or holds no sound."""


class VoicePackInvalid(DeviceError):
    """A folder that is no voice pack, or whose manifest cannot be used; it is left out."""


class VoiceLineMissing(DeviceError):
    """A line that a voice pack does not hold, or holds damaged; another pack takes its place."""


class LoudspeakerUnavailable(DeviceError):
    """Nothing can be played now: no program, no sound card, or it is busy; try again with the next line."""


class ReportsUnavailable(DeviceError):
    """Reports of commissionings cannot be kept or read now."""


class MicrophoneUnavailable(DeviceError):
    """The microphone is missing or gives nothing."""


class SynthesiserUnavailable(DeviceError):
    """The program that renders voices is not installed, or lacks a language."""
