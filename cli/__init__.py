"""The `lossrank` command: a group that parses, calls scorer and exporter, and prints."""
