"""Rules: each looks at one kind of evidence, and says in words which fault it points to."""

from sgdprobe.rules import course, data, start, trial  # noqa: F401 (they fill RULES)
from sgdprobe.rules.evidence import Evidence
from sgdprobe.rules.rule import FAULTS, RULES, Change, Finding, Rule, Stage, findings

__all__ = ["FAULTS", "RULES", "Change", "Evidence", "Finding", "Rule", "Stage", "findings"]
