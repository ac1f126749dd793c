"""Reports of a run, made from its folder alone: figures, one HTML page, a table for the terminal.

Drawing needs the extra `report` (matplotlib, networkx, Jinja2), loaded when a page is written.
"""

from asng.report.html import write_report
from asng.report.log import Log, Normal, Steps, read_log
from asng.report.reading import Graph, Run, read_run
from asng.report.results import Result, Scored, SeedScore, Summary
from asng.report.table import summary_table
from asng.report.verdict import seeds_verdict, verdict

__all__ = [
    "Graph",
    "Log",
    "Normal",
    "Result",
    "Run",
    "Scored",
    "SeedScore",
    "Steps",
    "Summary",
    "read_log",
    "read_run",
    "seeds_verdict",
    "summary_table",
    "verdict",
    "write_report",
]
