"""Numbers, refusals and tables are those that were recorded before the rebuild.

Each group has a sandbox of its own, so that groups may run in different processes.
"""

import sys
from pathlib import Path

import pytest
from frozen.frozen import CHECKS, NEEDS_AVX2, PROJECT, check_group, has_avx2


@pytest.mark.parametrize("group", CHECKS)
def test_nothing_differs_from_the_record(group: str) -> None:
    if group in NEEDS_AVX2 and not has_avx2():
        pytest.skip("the processor has no AVX2")
    items = check_group(group, PROJECT, Path(sys.executable))
    assert items
    assert [str(item) for item in items if item.difference] == []
