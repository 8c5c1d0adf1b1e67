"""The settings of property tests.

A file that imports hypothesis imports this too: they hold for what is decorated after it. Not in
conftest.py: importing hypothesis takes longer than most test files take to run.
"""

from __future__ import annotations

import os

from hypothesis import settings

# A busy machine is slow now and then; how long an example takes is not what properties are about.
# In CI the examples are the same at each run, so that a change is judged by what it changed.
settings.register_profile("amproxy", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("amproxy")
