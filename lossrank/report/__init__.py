"""Build the report of a run and write it as HTML, Markdown or JSON."""
