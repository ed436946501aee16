# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every listed difference names a case of this suite as its proof: an unknown name is an error of the list."""
import glob
import os

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))


def pytest_collection_modifyitems(config, items):
    import differences
    mine = [i for i in items if os.path.dirname(str(i.fspath)) == HERE]
    files = {os.path.basename(str(i.fspath)) for i in mine}
    if files != {os.path.basename(f) for f in glob.glob(os.path.join(HERE, "test_*.py"))}:
        return  # only some of the files were asked for
    names = {i.name for i in mine}
    unknown = [f"{e.name}: {e.proof}" for e in differences.DIFFERENCES if e.proof not in names]
    if unknown:
        raise pytest.UsageError("differences without a proof that exists: " + ", ".join(unknown))
