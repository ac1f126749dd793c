"""Reports of a run, made from its folder alone: figures, an HTML page, and a table for the terminal.

Drawing needs the extra `report` (matplotlib, networkx, Jinja2), loaded when a page is written.
"""

from asng.report.html import Page, RunKind, summary_table, title_of, write_report
from asng.report.live import watch_report
from asng.report.reading import Run, read_run
from asng.report.verdict import seeds_verdict, verdict
from asng.report.worth import Worth, estimate_worth, mean_worth, worth
from asng.runs.events import Normal
from asng.runs.history import Log, Steps, read_log
from asng.runs.results import Graph, Result, Scored, SeedScore, Summary

__all__ = [
    "Graph",
    "Log",
    "Normal",
    "Page",
    "Result",
    "Run",
    "RunKind",
    "Scored",
    "SeedScore",
    "Steps",
    "Summary",
    "Worth",
    "estimate_worth",
    "mean_worth",
    "read_log",
    "read_run",
    "seeds_verdict",
    "summary_table",
    "title_of",
    "verdict",
    "watch_report",
    "worth",
    "write_report",
]
