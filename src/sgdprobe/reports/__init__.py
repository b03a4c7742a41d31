"""Reports of studies, sweeps and runs. Matplotlib is imported when the first figure is drawn."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure

    from sgdprobe.reports.answer import study_as_json as study_as_json
    from sgdprobe.reports.answer import sweep_answer as sweep_answer
    from sgdprobe.reports.answer import verdict as verdict
    from sgdprobe.reports.comparison import RunPair as RunPair
    from sgdprobe.reports.comparison import comparison_lines as comparison_lines
    from sgdprobe.reports.comparison import write_comparison as write_comparison
    from sgdprobe.reports.diagnosis import DiagnosisPage as DiagnosisPage
    from sgdprobe.reports.diagnosis import answer_lines as answer_lines
    from sgdprobe.reports.diagnosis import as_json as as_json
    from sgdprobe.reports.diagnosis import write_diagnosis as write_diagnosis
    from sgdprobe.reports.diagnosis import yaml_lines as yaml_lines
    from sgdprobe.reports.explanation import StudySummary as StudySummary
    from sgdprobe.reports.figures.inline import inline_run_figures as inline_run_figures
    from sgdprobe.reports.figures.inline import inline_sweep_figures as inline_sweep_figures
    from sgdprobe.reports.figures.run import run_figures as run_figures
    from sgdprobe.reports.run import Learned as Learned
    from sgdprobe.reports.run import RunPage as RunPage
    from sgdprobe.reports.run import learned_cells as learned_cells
    from sgdprobe.reports.run import write_run_report as write_run_report
    from sgdprobe.reports.sweep import SweepTable as SweepTable
    from sgdprobe.reports.writers import check_folder as check_folder
    from sgdprobe.reports.writers import check_study_folder as check_study_folder
    from sgdprobe.reports.writers import check_sweep_folder as check_sweep_folder
    from sgdprobe.reports.writers import experiment_note as experiment_note
    from sgdprobe.reports.writers import write_study_report as write_study_report
    from sgdprobe.reports.writers import write_sweep_report as write_sweep_report

# Their matplotlibrc (see plotting.py) may need what is not installed.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

_MODULES = {
    "RunPair": "comparison",
    "comparison_lines": "comparison",
    "write_comparison": "comparison",
    "DiagnosisPage": "diagnosis",
    "Learned": "run",
    "learned_cells": "run",
    "RunPage": "run",
    "write_run_report": "run",
    "answer_lines": "diagnosis",
    "as_json": "diagnosis",
    "check_folder": "writers",
    "write_diagnosis": "diagnosis",
    "yaml_lines": "diagnosis",
    "StudySummary": "explanation",
    "SweepTable": "sweep",
    "check_study_folder": "writers",
    "check_sweep_folder": "writers",
    "experiment_note": "writers",
    "inline_run_figures": "figures.inline",
    "inline_sweep_figures": "figures.inline",
    "run_figures": "figures.run",
    "study_as_json": "answer",
    "sweep_answer": "answer",
    "verdict": "answer",
    "write_study_report": "writers",
    "write_sweep_report": "writers",
}


if not TYPE_CHECKING:  # mypy would take any name for granted

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
