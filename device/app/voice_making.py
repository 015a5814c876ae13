"""Makes voice packs: rendered from the texts by espeak-ng, or from a folder of recordings."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from device.adapters.voice_alsa.pack import MANIFEST, SUFFIXES, Clip, PackManifest, Speed, SpokenLine, Title, VoicePack
from device.adapters.voice_alsa.sound import (
    RECORDED_COMPRESSION,
    SYNTHETIC_COMPRESSION,
    Samples,
    decode,
    encode,
    finish,
)
from device.errors import SoundUnreadable, SynthesiserUnavailable, VoicePackInvalid
from device.lines import texts_to_speak

_PROGRAM: Final = "espeak-ng"
_INSTALL: Final = "install the Debian package espeak-ng"
_TIMEOUT_S: Final = 60.0
_BESIDE: Final = (".txt",)
"""What may lie beside recordings: the script."""
_LICENCE: Final = "Apache-2.0; output of espeak-ng (GPL-3.0-or-later, section 2: output is not covered), see NOTICE"


@dataclass(frozen=True, slots=True)
class Made:
    """What came of making a pack."""

    lines: int
    files: int
    size_bytes: int
    problems: tuple[str, ...] = ()
    """What was left out, one sentence each."""


@dataclass(frozen=True, slots=True)
class About:
    """What a manifest says about the pack as a whole."""

    name: str
    language: str
    title_zh: str
    title_en: str
    licence: str
    source: str


class _Synthesis(BaseModel):
    """How a language is rendered; see `synthesis.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    voice: str
    tag: str
    title: Title
    normal: int
    slow: int
    said: Mapping[str, str] = {}

    def words_a_minute(self, speed: Speed) -> int:
        return self.slow if speed is Speed.SLOW else self.normal

    def respelled(self, text: str) -> str:
        for written, said in self.said.items():
            text = text.replace(written, said)
        return text


def languages_to_render() -> tuple[str, ...]:
    """Return the languages that can be rendered."""
    return tuple(_syntheses())


def render(language: str, folder: Path, *, on_line: Callable[[], None] = lambda: None) -> Made:
    """Render all texts of a language at both speeds into a pack. The same program version gives the same files again.

    Args:
        language: one of `languages_to_render()`.
        folder: made where it is not there; a pack in it is replaced.
        on_line: called after each line.

    Raises:
        SynthesiserUnavailable: if espeak-ng is not installed, or has not got the voice.
        VoicePackInvalid: if the folder holds something else than a pack, or cannot be written.
    """
    synthesis = _syntheses()[language]
    version = _version()

    def sounds(_line: str, text: str) -> Iterator[tuple[Speed, Samples]]:
        for speed in Speed:
            spoken = _espeak(
                "-v",
                synthesis.voice,
                "-s",
                str(synthesis.words_a_minute(speed)),
                "--stdout",
                text=synthesis.respelled(text),
            )
            yield speed, finish(decode(spoken))
        on_line()

    about = About(
        name=f"{language}-synthetic",
        language=synthesis.tag,
        title_zh=synthesis.title.zh,
        title_en=synthesis.title.en,
        licence=_LICENCE,
        source=f"rendered from the texts by {version}, voice {synthesis.voice}",
    )
    return _make(folder, about, sounds, language=language, compression=SYNTHETIC_COMPRESSION)


def import_recordings(recordings: Path, folder: Path, about: About) -> Made:
    """Make a pack of recordings: silence cut off, all equally loud, coded as Ogg Opus.

    Args:
        recordings: a folder with `LINE.wav` (or flac, ogg, opus) for speech at normal speed, and `slow/LINE.wav` for slow speech. Any
            sample rate, one channel or more. What is not there is left to other packs; other files are named.
        folder: made where it is not there; a pack in it is replaced.
        about: what the manifest says.

    Raises:
        VoicePackInvalid: if nothing usable is in `recordings`, what is said about the pack cannot be used, or the folder holds something
            else than a pack.
    """
    texts = texts_to_speak(about.language)
    problems = [
        f"{path.relative_to(recordings)}: no line has this id, left out; `voice lines` lists them"
        for path in sorted(recordings.rglob("*"))
        if path.is_file() and path.suffix in SUFFIXES and path.stem not in texts
    ]
    problems += [
        f"{path.relative_to(recordings)}: cannot be read, left out; save it as WAV, FLAC or Opus"
        for path in sorted(recordings.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.suffix not in (*SUFFIXES, *_BESIDE)
    ]

    def sounds(line: str, _text: str) -> Iterator[tuple[Speed, Samples]]:
        for speed, where in ((Speed.NORMAL, recordings), (Speed.SLOW, recordings / Speed.SLOW)):
            path = next((found for suffix in SUFFIXES if (found := where / f"{line}{suffix}").is_file()), None)
            if path is None:
                continue
            try:
                yield speed, finish(decode(path.read_bytes()))
            except SoundUnreadable as error:
                problems.append(f"{path.relative_to(recordings)}: {error}, left out")
            except OSError as error:
                problems.append(f"{path.relative_to(recordings)}: cannot be read: {error.strerror}, left out")

    try:
        made = _make(folder, about, sounds, language=about.language, compression=RECORDED_COMPRESSION)
    except VoicePackInvalid as error:
        raise VoicePackInvalid("\n".join([str(error), *problems])) from error
    return Made(made.lines, made.files, made.size_bytes, tuple(problems))


def _make(
    folder: Path,
    about: About,
    sounds: Callable[[str, str], Iterator[tuple[Speed, Samples]]],
    *,
    language: str,
    compression: float,
) -> Made:
    """Write a pack beside its place, and put it there once it is whole."""
    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise VoicePackInvalid(f"{folder}: not empty and no voice pack; name a new folder")
    building = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        lines: dict[str, SpokenLine] = {}
        for line, text in texts_to_speak(language).items():
            clips = {
                speed: _write(building, line, speed, encode(samples, compression))
                for speed, samples in sounds(line, text)
            }
            if clips:
                digest = hashlib.sha256(text.encode()).hexdigest()
                lines[line] = SpokenLine(normal=clips.get(Speed.NORMAL), slow=clips.get(Speed.SLOW), text_sha256=digest)
        manifest = _manifest(about, lines)
        (building / MANIFEST).write_text(_toml(manifest), encoding="utf-8")
        VoicePack.open(building)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    except OSError as error:
        raise VoicePackInvalid(f"{folder}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    written = [path for path in folder.rglob("*") if path.is_file()]
    return Made(len(lines), len(written) - 1, sum(path.stat().st_size for path in written))


def _write(folder: Path, line: str, speed: Speed, content: bytes) -> Clip:
    path = folder / speed / f"{line}.opus"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return Clip(file=f"{speed}/{line}.opus", sha256=hashlib.sha256(content).hexdigest())


def _manifest(about: About, lines: Mapping[str, SpokenLine]) -> PackManifest:
    if not lines:
        raise VoicePackInvalid("no line could be used, no pack was made")
    speeds = [speed for speed in Speed if any(spoken.at(speed) for spoken in lines.values())]
    try:
        return PackManifest.model_validate(
            {
                "name": about.name,
                "language": about.language,
                "title": {"zh": about.title_zh, "en": about.title_en},
                "licence": about.licence,
                "source": about.source,
                "speeds": speeds,
                "lines": lines,
            }
        )
    except ValidationError as error:
        found = error.errors()[0]
        raise VoicePackInvalid(
            f"{'.'.join(map(str, found['loc']))}: {found['msg']}, found {found['input']!r}"
        ) from error


def _toml(manifest: PackManifest) -> str:
    """Return the manifest as a file; a JSON string is a TOML string."""

    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)

    head = (
        f"name = {text(manifest.name)}\nlanguage = {text(manifest.language)}\n"
        f"title.zh = {text(manifest.title.zh)}\ntitle.en = {text(manifest.title.en)}\n"
        f"licence = {text(manifest.licence)}\nsource = {text(manifest.source)}\n"
        f"speeds = [{', '.join(text(speed) for speed in manifest.speeds)}]\n"
    )
    parts = [head]
    for line, spoken in manifest.lines.items():
        parts.append(f"\n[lines.{line}]\n")
        if spoken.text_sha256 is not None:
            parts.append(f"text_sha256 = {text(spoken.text_sha256)}\n")
        parts.extend(
            f"{speed} = {{ file = {text(clip.file)}, sha256 = {text(clip.sha256)} }}\n"
            for speed in Speed
            if (clip := spoken.at(speed)) is not None
        )
    return "".join(parts)


def _syntheses() -> Mapping[str, _Synthesis]:
    data = tomllib.loads(files("device").joinpath("synthesis.toml").read_text(encoding="utf-8"))
    return {language: _Synthesis.model_validate(said) for language, said in data.items()}


def _version() -> str:
    words = _espeak("--version", text="").decode("utf-8", errors="replace").split()
    return (
        " ".join([_PROGRAM, *words[words.index("text-to-speech:") + 1 :][:1]])
        if "text-to-speech:" in words
        else _PROGRAM
    )


def _espeak(*arguments: str, text: str) -> bytes:
    try:
        done = subprocess.run(
            [_PROGRAM, *arguments], input=text.encode(), capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise SynthesiserUnavailable(f"{_PROGRAM}: not installed; {_INSTALL}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SynthesiserUnavailable(f"{_PROGRAM}: cannot be used: {error}") from error
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode("utf-8", errors="replace").strip() or f"ended with status {done.returncode}"
        raise SynthesiserUnavailable(f"{_PROGRAM}: {said}; {_INSTALL} with its data")
    return done.stdout
