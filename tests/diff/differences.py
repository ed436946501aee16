# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where netmgr differs from Debian's reference plugins (1.1.1) on purpose, each with its reason.

An entry says which facts may differ (a pattern over "where link: what"), and, where that matters, which
values the two sides have. `proof` names one case of this suite in which the difference must occur: when it no
longer does, that case fails, so nothing stays in this list that is not true any more.
"""
import dataclasses
import re


@dataclasses.dataclass
class Difference:
    name: str
    fact: str  # regular expression, whole "where link: what"
    reason: str
    proof: str  # name of a test case
    reference: object = ...  # value, or predicate; ...: any
    ours: object = ...
    case: str = ".*"  # regular expression, whole name of the test case

    def matches(self, case, text, reference, ours):
        def agrees(wanted, value):
            return wanted is ... or (wanted(value) if callable(wanted) else wanted == value)
        return bool(re.fullmatch(self.fact, text) and re.fullmatch(self.case, case)
                    and agrees(self.reference, reference) and agrees(self.ours, ours))


DIFFERENCES = [
]


class Found:
    """One fact that is not the same on both sides; None: that side does not have it."""

    def __init__(self, case, when, key, reference, ours):
        self.when, self.key, self.reference, self.ours = when, key, reference, ours
        self.text = f"{key[0]} {key[1]}: {key[2]}".replace(" : ", ": ")
        self.note = ""
        self.entry = next((e for e in DIFFERENCES if e.matches(case, self.text, reference, ours)), None)

    def __str__(self):
        return (f"{self.when}: {self.text}: reference {self.reference!r}, netmgr {self.ours!r}"
                + (f" ({self.note})" if self.note else ""))
