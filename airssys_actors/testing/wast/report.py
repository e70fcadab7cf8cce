"""What became of a script: a verdict for each directive, and the lines that tell it."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

__all__ = ("Finding", "ScriptReport", "Verdict", "summary")


class Verdict(enum.Enum):
    """How a directive ended."""

    PASSED = "passed"
    FAILED = "failed"
    REFUSED = "refused"
    """The engine names a feature that it does not support; what depends on the component is refused with it."""


class Finding(msgspec.Struct, frozen=True):
    """``text`` is empty for a directive that passed with nothing to note; ``line`` is 0 for a script as a whole."""

    line: int
    verdict: Verdict
    text: str = ""


class ScriptReport(msgspec.Struct, frozen=True):
    """The findings of one script, in its order."""

    source: str
    findings: tuple[Finding, ...]

    def count(self, verdict: Verdict) -> int:
        """How many directives ended so."""
        return sum(finding.verdict is verdict for finding in self.findings)

    def lines(self, *, notes: bool = True) -> Iterator[str]:
        """Yield one line for the script, then one for each directive of which there is something to say."""
        yield f"{self.source}: {summary((self,))}"
        for finding in self.findings:
            if not finding.text or (finding.verdict is Verdict.PASSED and not notes):
                continue
            place = f"{self.source}:{finding.line}" if finding.line else self.source
            word = "note" if finding.verdict is Verdict.PASSED else finding.verdict.value
            yield f"  {place}: {word}: {_one_line(finding.text)}"


def summary(reports: tuple[ScriptReport, ...]) -> str:
    """Return "3 passed, 0 failed, 1 refused" over all ``reports``; refusals are told when there are any."""
    passed, failed, refused = (
        sum(report.count(verdict) for report in reports)
        for verdict in (Verdict.PASSED, Verdict.FAILED, Verdict.REFUSED)
    )
    return f"{passed} passed, {failed} failed" + (f", {refused} refused" if refused else "")


def _one_line(text: str) -> str:
    return " ".join(text.split())
