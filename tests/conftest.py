# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of the integration and crash tests.

host   a private host with bus, netmgr-nsd and netmgrd ready; after a test that passed, what is
       still attached is detached, and then nothing may be left: links, addresses, routes, rules,
       neighbours, nftables, conntrack, descriptors of the daemons, rows of the ledger. A test gives
       wishes with @pytest.mark.host(polkit=True, conf="text of netmgr.conf").

Tests marked `vm` are also run in a virtual machine (tests/run --vm); elsewhere they are skipped when the kernel
lacks what their marker names.

Tests marked `failpoints` need a build with failpoints. Those marked `sanitize` run a second time with the sanitizer build (tests/run); a report of any
sanitizer in any process of the host fails the test.
"""
import os
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "lib"))
pytest.register_assert_rewrite("netmgr_host", "host_daemon", "host_pods")
import features  # noqa: E402
import netmgr_host  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "host(polkit, conf): wishes for the fixture `host`")
    config.addinivalue_line("markers", "sanitize: also run with the sanitizer build")
    config.addinivalue_line("markers", "failpoints: needs a build with -Dfailpoints=true, as build-asan is")
    config.addinivalue_line("markers", "vm(feature, ...): needs these (lib/features.py); also run by tests/run --vm")
    if os.geteuid() != 0:
        raise pytest.UsageError("these tests make namespaces, which needs root; try: sudo tests/run")
    missing = [p for p in ("netmgrd", "netmgr-nsd", "netmgr-dhcp", "netmgr-exec", "netmgr-cri", "netmgr", "netmgrctl")
               if not os.access(os.path.join(netmgr_host.build_dir(), p), os.X_OK)]
    if missing:
        raise pytest.UsageError(f"{netmgr_host.build_dir()} lacks {', '.join(missing)}: build first, "
                                "or set NETMGR_BUILD_DIR")


def pytest_runtest_setup(item):
    for marker in item.iter_markers("vm"):
        features.need(*marker.args)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.passed = report.passed


@pytest.fixture
def host(request):
    marker = request.node.get_closest_marker("host")
    private = netmgr_host.Host(**(marker.kwargs if marker else {}))
    problems = []
    try:
        private.start()
        yield private
        if getattr(request.node, "passed", False):
            private.finish()
        else:
            print(private.logs())
    except BaseException:
        print(private.logs())
        raise
    finally:
        problems = private.close()
    assert not problems, "\n".join(problems)
