"""Leave what is imported out of garbage collections.

Streamlit collects after every run of a page, with the interpreter's lock held. What this app imports makes that
0.1 s, and 0.3 s once torch is there: time in which no other session is served.
"""

from __future__ import annotations

import gc
import sys

_MODULES = 200  # so many new ones are worth a collection of their own

_known = 0


def leave_out_of_collections() -> None:
    """Take what is there by now out of all later collections, where much has been imported since the last call.

    What a session holds at that moment is still freed with its last reference; only if it lies in a cycle, it stays.
    A process comes here a few times in its life.
    """
    global _known
    if len(sys.modules) >= _known + _MODULES:
        _known = len(sys.modules)
        gc.collect()
        gc.freeze()
