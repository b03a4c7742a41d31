"""A recorded run as the rest of the program sees it, whichever store it is in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from sgdprobe.errors import StoreError
from sgdprobe.nn import DivergedError
from sgdprobe.provenance.redact import redact

__all__ = ["Failure", "RecordedRun"]

FAILURE_TAGS = {"failure", "failure_reason"}
# Beginnings of the tags with what rules found before training, and after it.
BEFORE, AFTER = "preflight.", "course."

Reason = Literal["diverged", "store", "killed", "error"]


@dataclass(frozen=True)
class Failure:
    """Why a run did not finish.

    reason : "diverged", its loss or weights became NaN or infinite; "store", it could not be
    recorded; "killed", it was interrupted or its process died; "error", anything else.
    message : one line for people.
    """

    reason: Reason
    message: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return the failure that an exception is."""
        reason: Reason = "error" if isinstance(error, Exception) else "killed"
        if isinstance(error, DivergedError):
            reason = "diverged"
        elif isinstance(error, StoreError):
            reason = "store"
        text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        return cls(reason, redact(text))

    @property
    def tags(self) -> dict[str, str]:
        """The tags of a run that failed; a database holds 5,000 characters of each."""
        return {"failure": self.message[:5000], "failure_reason": self.reason}

    @classmethod
    def recorded(cls, status: str, tags: Mapping[str, str]) -> "Failure | None":
        """Return the failure that a run's tags tell, or None."""
        message = tags.get("failure")
        if message is None:
            return None
        for reason in get_args(Reason):
            if tags.get("failure_reason") == reason:
                return cls(reason, message)
        # Version 0.1.0 recorded the message alone, which begins with the exception's name.
        if status == "KILLED":
            return cls("killed", message)
        kinds: dict[str, Reason] = {"DivergedError": "diverged", "StoreError": "store"}
        return cls(kinds.get(message.partition(":")[0], "error"), message)


@dataclass(frozen=True)
class RecordedRun:
    """One run in a store.

    status : MLflow's word. start_time, end_time : ms since 1970. metrics : the last value of each.
    series : values epoch by epoch, for the metrics that were asked for (`with_series`).
    contradictions : what the record says in two ways, as far as it was checked (`checked`).
    url : the address that shows the run in MLflow.
    """

    run_id: str
    status: str
    name: str = ""
    experiment: str = ""
    url: str = ""
    artifact_uri: str = ""
    start_time: int = 0
    end_time: int | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)
    contradictions: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def failure(self) -> Failure | None:
        """Why the run did not finish; None if it did, or if that is not known."""
        return Failure.recorded(self.status, self.tags)

    @property
    def diverged(self) -> bool:
        """True if the run failed because its loss or weights became NaN or infinite."""
        return self.failure is not None and self.failure.reason == "diverged"

    @property
    def own_loop(self) -> bool:
        """True if a program of the user's trained and recorded it: sgdprobe cannot rerun it."""
        return "own_loop" in self.tags

    @property
    def has_result(self) -> bool:
        """True if the run finished or diverged: both are results."""
        return self.status == "FINISHED" or self.diverged

    @property
    def state(self) -> str:
        """MLflow's word in small letters, or "diverged"."""
        return "diverged" if self.diverged else self.status.lower()

    @property
    def findings(self) -> dict[str, str]:
        """Texts of the rules that spoke before the training, then after it, by their names."""
        return {
            tag.removeprefix(stage): self.tags[tag]
            for stage in (BEFORE, AFTER)
            for tag in sorted(self.tags)
            if tag.startswith(stage)
        }

    @property
    def warnings(self) -> dict[str, str]:
        """Texts of the rules that spoke before the training, by their names."""
        return {name: text for name, text in self.findings.items() if BEFORE + name in self.tags}

    @property
    def seconds(self) -> float:
        """Duration of the run; 0 if it has not ended."""
        return ((self.end_time or self.start_time) - self.start_time) / 1000
