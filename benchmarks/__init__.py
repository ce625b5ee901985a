"""Throughput of lossrank and of its peers, side by side: ``python -m benchmarks``."""
