"""Ranked rows to the tools a person reviews them in: one file per tool."""
