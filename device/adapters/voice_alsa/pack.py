"""Voice packs: a folder with a manifest `pack.toml` and one sound file for each line and speed."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from device.adapters.voice_alsa.sound import Samples, decode
from device.errors import SoundUnreadable, VoiceLineMissing, VoicePackInvalid

MANIFEST: Final = "pack.toml"
SUFFIXES: Final = (".opus", ".ogg", ".flac", ".wav")
"""Of the files a pack may hold."""
_MOST_BYTES: Final = 8 * 1024 * 1024
"""A minute of uncompressed stereo; no line is longer, and a mistaken file must not fill the memory."""


class Speed(StrEnum):
    """How fast a line is spoken."""

    NORMAL = "normal"
    SLOW = "slow"


def _inside(file: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", file) or any(p in {".", ".."} for p in file.split("/")):
        raise ValueError("a path inside the pack expected, of letters, digits, _ . -")
    if not file.endswith(SUFFIXES):
        raise ValueError(f"a file ending in {', '.join(SUFFIXES)} expected")
    return file


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_LineId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]


class Clip(_Part):
    """One sound file."""

    file: Annotated[str, AfterValidator(_inside)]
    """Where it lies in the folder of the pack."""
    sha256: _Digest
    """Of the file: a damaged one is noticed before it is played."""


class SpokenLine(_Part):
    """A line at the speeds it was spoken at."""

    normal: Clip | None = None
    slow: Clip | None = None
    text_sha256: _Digest | None = None
    """Of the text it was rendered from or recorded after, so that a text that changed since is noticed."""

    def at(self, speed: Speed) -> Clip | None:
        """Return the file of a speed."""
        return self.slow if speed is Speed.SLOW else self.normal


class Title(_Part):
    """The pack's name for people."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class PackManifest(_Part):
    """What `pack.toml` says."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """Names the pack in logs and reports."""
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
    """Language tag such as `zh-CN`, `zh-yue`, `bo` or `en`. Source: RFC 5646. A Chinese dialect begins with `zh-`, so that Mandarin
    stands in where it lacks a line."""
    title: Title
    licence: str = Field(min_length=1)
    """Under which others may use the files."""
    source: str = Field(min_length=1)
    """Who spoke, or which program and version."""
    speeds: tuple[Speed, ...] = Field(min_length=1)
    """The speeds it means to have; slow speech falls back to normal without a report where it has none."""
    lines: Mapping[_LineId, SpokenLine]
    """Line id -> files."""

    @model_validator(mode="after")
    def _speeds_fit(self) -> Self:
        for line, spoken in self.lines.items():
            for speed in Speed:
                if spoken.at(speed) is not None and speed not in self.speeds:
                    raise ValueError(
                        f"lines.{line}.{speed}: not among the speeds of the pack, {', '.join(self.speeds)}"
                    )
        return self


class VoicePack:
    """A pack on the disk. Its files are read when they are asked for."""

    def __init__(self, folder: Path, manifest: PackManifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the manifest of a pack.

        Raises:
            VoicePackInvalid: with every problem of the manifest, one a line, each naming the key.
        """
        path = folder / MANIFEST
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise VoicePackInvalid(f"{path}: cannot be read: {error.strerror}") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise VoicePackInvalid(f"{path}: not TOML: {error}") from error
        try:
            return cls(folder, PackManifest.model_validate(data))
        except ValidationError as error:
            problems = (
                f"{path}: {'.'.join(map(str, found['loc']))}: {found['msg'].removeprefix('Value error, ')}"
                for found in error.errors()
            )
            raise VoicePackInvalid("\n".join(problems)) from error

    def sound(self, line: str, speed: Speed) -> Samples:
        """Return a line at exactly this speed.

        Raises:
            VoiceLineMissing: if the pack does not hold it, or its file is missing or damaged.
        """
        return self.decoded(line, self.content(line, speed))

    def content(self, line: str, speed: Speed) -> bytes:
        """Return the file of a line, as long as it is the one the manifest names.

        Raises:
            VoiceLineMissing: if the pack does not hold it, or its file is missing or another one.
        """
        clip = self._clip(line, speed)
        path = self.folder / clip.file
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise VoiceLineMissing(f"{line}: {clip.file}: cannot be read: {error.strerror}") from error
        if len(content) > _MOST_BYTES:
            raise VoiceLineMissing(f"{line}: {clip.file}: larger than {_MOST_BYTES} bytes")
        found = hashlib.sha256(content).hexdigest()
        if found != clip.sha256:
            raise VoiceLineMissing(f"{line}: {clip.file}: SHA-256 is {found[:12]}…, {clip.sha256[:12]}… expected")
        return content

    @staticmethod
    def decoded(line: str, content: bytes) -> Samples:
        """Return the samples of a line's file.

        Raises:
            VoiceLineMissing: if it cannot be decoded.
        """
        try:
            return decode(content)
        except SoundUnreadable as error:
            raise VoiceLineMissing(f"{line}: {error}") from error

    def _clip(self, line: str, speed: Speed) -> Clip:
        spoken = self.manifest.lines.get(line)
        clip = spoken.at(speed) if spoken is not None else None
        if clip is None:
            raise VoiceLineMissing(f"{line}: not in the pack at {speed} speed")
        return clip


def shipped_folders() -> tuple[Path, ...]:
    """Return the folders of the packs that come with the program; they stand in for every line that others lack."""
    voices = Path(str(files("device").joinpath("voices")))
    return tuple(sorted(path.parent for path in voices.glob(f"*/{MANIFEST}")))


def packs_for(packs: Sequence[VoicePack], tag: str) -> tuple[VoicePack, ...]:
    """Return the packs that speak a language, those of its own first, then those of the language it belongs to.

    A pack fits a wanted tag that is the beginning of its own: `zh` is spoken by packs of `zh-CN` and `zh-yue`, in the order given.
    Source: RFC 4647, sections 3.3.1 and 3.4.
    """
    found: list[VoicePack] = []
    wanted = tag.lower()
    while wanted:
        for pack in packs:
            own = pack.manifest.language.lower()
            if (own == wanted or own.startswith(f"{wanted}-")) and pack not in found:
                found.append(pack)
        wanted = wanted.rpartition("-")[0]
    return tuple(found)
