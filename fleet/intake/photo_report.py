"""The report of a photograph import in words, Chinese and English, for people and programs. No name and no number stands in it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from fleet.intake.photo_judging import Fault, Reason
from fleet.intake.photos import PhotoImport, PhotoLine, Result
from fleet.tables.writing import to_csv

LANGUAGES = ("zh", "en")


@cache
def photo_texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return all texts: group -> id -> language -> text."""
    return dict(tomllib.loads(files("fleet.intake").joinpath("photo_texts.toml").read_text(encoding="utf-8")))


def fault_text(fault: Fault, language: str) -> str:
    """Return one reason in words.

    Args:
        fault: the reason.
        language: `zh` or `en`.
    """
    texts = photo_texts()
    found = fault.found
    if fault.reason is Reason.FACE_QUALITY:
        found = texts["component"].get(found, {}).get(language, found)
    return texts["reason"][fault.reason][language].format(found=found, asked=fault.asked)


def report_data(done: PhotoImport, *, is_dry: bool) -> dict[str, Any]:
    """Return a report for programs, its reasons as codes and in words."""
    return {
        "import_id": None if is_dry else done.import_id,
        "dry_run": is_dry,
        "counts": {result.value: done.count(result) for result in Result},
        "files": [_data(line) for line in done.lines],
    }


def report_csv(done: PhotoImport, language: str) -> bytes:
    """Return a report for a spreadsheet, one line a file.

    Args:
        done: the import.
        language: `zh` or `en`.
    """
    texts = photo_texts()
    heading = [texts["label"][name][language] for name in ("file", "ends", "result", "reasons")]
    return to_csv((heading, [line_cells(line, language) for line in done.lines]))


def line_cells(line: PhotoLine, language: str) -> Sequence[str]:
    """Return one line in words: place, end of the name, result, reasons."""
    separator = "；" if language == "zh" else "; "
    reasons = separator.join(fault_text(fault, language) for fault in line.faults)
    return (str(line.file), line.ends, photo_texts()["result"][line.result][language], reasons)


def _data(line: PhotoLine) -> dict[str, Any]:
    reasons = [
        {
            "code": fault.reason.value,
            "found": fault.found,
            "asked": fault.asked,
            **{language: fault_text(fault, language) for language in LANGUAGES},
        }
        for fault in line.faults
    ]
    return {
        "file": line.file,
        "ends": line.ends,
        "result": line.result.value,
        "subject_id": line.subject_id,
        "reference_id": line.reference_id,
        "reasons": reasons,
    }
