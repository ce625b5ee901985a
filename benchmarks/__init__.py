"""Compare the throughput of lossrank and its peers: ``python -m benchmarks``."""
