"""Review tools and tables that read and write files: a module each.

To add one, write a module with the functions that ``FileKind`` describes, and add a ``FileKind`` to ``FILES``; both are
in ``kinds.py``.
"""
