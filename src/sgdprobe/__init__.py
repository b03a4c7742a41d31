"""sgdprobe: find out which difference causes which part of an accuracy gap.

In a notebook, `import sgdprobe` offers what `sgdprobe.notebook` describes: `settings`, `train`,
`runs`, `epochs` and `figures`; and `record`, for a training loop of your own.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgdprobe.notebook import epochs as epochs
    from sgdprobe.notebook import figures as figures
    from sgdprobe.notebook import runs as runs
    from sgdprobe.notebook import settings as settings
    from sgdprobe.notebook import train as train
    from sgdprobe.own.loop import record as record

__version__ = "0.7.0"

NOTEBOOK = ("Training", "epochs", "figures", "runs", "settings", "train")

if not TYPE_CHECKING:  # mypy would take any name for granted

    def __getattr__(name: str) -> Any:
        if name == "record":
            from sgdprobe.own.loop import record

            return record
        if name not in NOTEBOOK:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from sgdprobe import notebook  # the commands need none of it

        return getattr(notebook, name)
