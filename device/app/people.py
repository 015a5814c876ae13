"""Those on the spot: asked in words at the terminal's own command line, or over the lines that the technician's tool reads."""

from __future__ import annotations

from typing import Final, TextIO

from device.settings import Settings
from protocol.commissioning import (
    Answer,
    CommissioningCheck,
    CommissioningReport,
    CommissioningStep,
    Question,
    label,
    part_name,
    question_text,
    sentence,
    status_name,
)

_ANSWERS: Final[dict[str, Answer]] = {
    "y": "yes",
    "yes": "yes",
    "是": "yes",
    "n": "no",
    "no": "no",
    "否": "no",
    "s": "skip",
    "skip": "skip",
}


class LinePeople:
    """See `device.app.trying.People`: a `CommissioningStep` a line out, an answer a line in; an end of the lines is no answer."""

    def __init__(self, answers: TextIO, steps: TextIO) -> None:
        self._answers = answers
        self._steps = steps

    def ask(self, question: Question) -> Answer | None:
        """Ask and wait."""
        self._give(CommissioningStep(question=question))
        return _ANSWERS.get(self._answers.readline().strip()) if not self._answers.closed else None

    def tell(self, question: Question) -> None:
        """Say what to do."""
        self._give(CommissioningStep(question=question))

    def show(self, check: CommissioningCheck) -> None:
        """Show a part that was tried."""
        self._give(CommissioningStep(check=check))

    def end(self, _report: CommissioningReport, envelope: bytes) -> None:
        """Give the report."""
        self._give(CommissioningStep(report=envelope.decode("ascii")))

    def _give(self, step: CommissioningStep) -> None:
        self._steps.write(step.to_bytes().decode() + "\n")
        self._steps.flush()


class SpokenPeople:
    """See `device.app.trying.People`: words in the terminal's first language; an end of the input is no answer."""

    def __init__(self, answers: TextIO, words: TextIO, settings: Settings) -> None:
        self._answers = answers
        self._words = words
        self._language = settings.terminal.languages[0]

    def ask(self, question: Question) -> Answer | None:
        """Ask until an answer is one."""
        while True:
            self._say(f"{question_text(question, self._language)} [y/n/s] ", end="")
            line = self._answers.readline()
            if not line:
                return None
            if (answer := _ANSWERS.get(line.strip().lower())) is not None:
                return answer

    def tell(self, question: Question) -> None:
        """Say what to do."""
        self._say(question_text(question, self._language))

    def show(self, check: CommissioningCheck) -> None:
        """Show a part that was tried."""
        language = self._language
        self._say(
            f"{status_name(check.status, language)}  {part_name(check.part, language)}: {sentence(check, language)}"
        )

    def end(self, report: CommissioningReport, _envelope: bytes) -> None:
        """Say what came of it."""
        self._say(label("passed" if report.passed else "not_passed", self._language))

    def _say(self, words: str, *, end: str = "\n") -> None:
        self._words.write(words + end)
        self._words.flush()
