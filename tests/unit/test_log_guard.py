from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pytest

from protocol.keys import PrivateKey


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("device.x", logging.INFO, "x.py", 1, message, args, None)


@pytest.mark.parametrize("value", [b"raw", bytearray(1), np.zeros(3), PrivateKey.generate()], ids=range(4))
def test_private_values_are_found(log_violation: Callable[[logging.LogRecord], str | None], value: object) -> None:
    assert log_violation(record("value=%s", value))


def test_bad_formats_and_identity_numbers_are_found_and_plain_words_are_not(
    log_violation: Callable[[logging.LogRecord], str | None],
) -> None:
    assert log_violation(record("a=%d", "x"))
    assert log_violation(record("a=%s b=%s", 1))
    assert log_violation(record("claim=%s", "99999919500101123X"))
    assert log_violation(record("terminal=%s count=%d", "t-1", 3)) is None
    assert log_violation(record("connection=%d", 1790000000000000000)) is None
