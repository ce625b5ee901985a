"""Review tools that run a server: a folder each.

To add one, write a module with ``connect(account, on_wait)``, which returns a ``Server`` (the protocol in
``server.py``), and add a ``Tool`` to ``TOOLS`` there. A subclass of ``BaseServer`` (``base.py``) has what all servers
share; its client is a ``ReviewClient`` (``http.py``), and ``ChunkedLog`` (``bulk.py``) sends the records.
``pull.py`` and ``agree.py`` in the folder above turn the server's answers into decisions.
"""
