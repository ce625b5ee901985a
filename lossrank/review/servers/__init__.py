"""Review tools that run a server; each tool has a folder.

To add a tool, write a module with ``connect(account, on_wait)``, which returns a ``Server`` (the protocol in
``server.py``), and add a ``Tool`` to ``TOOLS`` in ``server.py``. Derive the server's class from ``BaseServer``
(``base.py``), which has the code that all servers share, and its client from ``ReviewClient`` (``http.py``). Send the
records with ``ChunkedLog`` (``bulk.py``). ``pull.py`` and ``agree.py`` in the folder above turn the server's answers
into decisions.
"""
