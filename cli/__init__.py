"""The `lossrank` command: it parses arguments, calls lossrank, exporter and scorer, and prints their results."""
