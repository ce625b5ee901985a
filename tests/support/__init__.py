"""What the tests share: small models, stand-ins for servers, and where the project lies."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"  # the founders' folder of real data and models; tests that use it skip without it
