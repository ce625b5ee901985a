"""What `lossrank report` writes: one document, as a page, as Markdown or as JSON."""
