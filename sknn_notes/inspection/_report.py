"""The report of ``sanity_check``: findings, as printed table or DataFrame."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from sknn_notes._sklearn import check_pandas_support

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("check", "status", "found", "change")
_WIDTHS = (22, 6, 40, 44)


class Finding(NamedTuple):
    """Result of one check.

    Parameters
    ----------
    check : str
        Name of the check.
    status : {'pass', 'warn', 'fail', 'skip'}
        Outcome; 'skip' if the check does not apply.
    found : str
        What was measured.
    change : str
        What to change. Empty if nothing needs to change.

    Examples
    --------
    >>> from sknn_notes.inspection import Finding
    >>> Finding("inputs", "pass", "mean up to 0.1", "").status
    'pass'
    """

    check: str
    status: str
    found: str
    change: str = ""


class SanityReport:
    """Findings of :func:`sanity_check`, printed as a table.

    ``report[check]`` returns the finding of the check with this name.

    Parameters
    ----------
    findings : sequence of Finding
        Findings in the order of the checks.

    Attributes
    ----------
    findings : tuple of Finding
        Findings in the order of the checks.

    See Also
    --------
    sanity_check : Check data, loss, gradient and learning rate.

    Examples
    --------
    >>> from sknn_notes.inspection import Finding, SanityReport
    >>> report = SanityReport(
    ...     [Finding("inputs", "warn", "mean up to 9.8", "Standardize them.")]
    ... )
    >>> print(report)
    check   status  found           change
    ------  ------  --------------  -----------------
    inputs  warn    mean up to 9.8  Standardize them.
    >>> report["inputs"].status
    'warn'
    """

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(Finding(*finding) for finding in findings)

    def __getitem__(self, check: str) -> Finding:
        """Return the finding of the check with this name."""
        for finding in self.findings:
            if finding.check == check:
                return finding
        names = [finding.check for finding in self.findings]
        raise KeyError(f"The report has no check {check!r}; it has {names}.")

    def __repr__(self) -> str:
        cells = [_COLUMNS, *self.findings]
        wrapped = [
            [
                wrap(cell, width, break_long_words=False) or [""]
                for cell, width in zip(row, _WIDTHS, strict=True)
            ]
            for row in cells
        ]
        widths = [
            max(len(line) for row in wrapped for line in row[i])
            for i in range(len(_COLUMNS))
        ]
        lines = []
        for row in wrapped:
            for i in range(max(map(len, row))):
                parts = [cell[i] if i < len(cell) else "" for cell in row]
                padded = map(str.ljust, parts, widths)
                lines.append("  ".join(padded).rstrip())
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(lines)

    def to_frame(self) -> pandas.DataFrame:
        """Return the findings as a pandas DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            One row per finding, with the columns check, status, found and change.
        """
        pandas = check_pandas_support("SanityReport.to_frame")
        return pandas.DataFrame(self.findings, columns=list(_COLUMNS))
