"""The kinds of files that rows are written to and decisions are read from; each kind has a module.

To add a kind, write a module with the functions that ``FileFormat`` lists and ``FileKind`` describes, and add a
``FileKind`` to ``FILES``. All three names are in ``kinds.py``.
"""
