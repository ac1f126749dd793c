"""asng inside other tools: one module per tool, imported by the user, with an extra of the same name.

Nothing else in the library needs these modules. If its package is missing, a module says which extra installs
it.
"""
