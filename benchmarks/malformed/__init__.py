"""Malformed files, by the thousand: what is made wrong with a whole file, who reads it, and how it ends."""
