"""How long the fuzz targets run: a moment in every test run, and as long as wanted with ``FUZZ_EXAMPLES``.

``FUZZ_EXAMPLES=20000 python -m pytest --timeout 0 tests/security/fuzz`` tries so many inputs for each target.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

__all__ = ("FUZZ",)

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
"""The settings of every target: nothing in them depends on how fast the machine is."""
