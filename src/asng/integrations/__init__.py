"""asng inside other tools: one module each, imported where it is used, with an extra of the same name.

Nothing of the library imports this room. A module whose package is missing says which extra installs it.
"""
