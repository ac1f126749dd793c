"""Readers of files of data."""
