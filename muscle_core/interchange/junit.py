"""JUnit XML, as GitHub actions, GitLab and Jenkins read it: one suite of test cases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

OUTCOMES = ("passed", "failed", "skipped", "error")
# What XML 1.0 cannot hold, and control characters that it could but that no reader wants.
_NO_TEXT = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Case(NamedTuple):
    """One test case; GitLab shows `classname` as the suite and tells cases apart by both names.

    Attributes:
        classname: group of the case.
        name: the case.
        outcome: one of `OUTCOMES`.
        message: one line that says why, for all but "passed".
        text: details below it.
    """

    classname: str
    name: str
    outcome: str
    message: str = ""
    text: str = ""


def junit_xml(suite: str, cases: Sequence[Case], properties: Mapping[str, str]) -> str:
    """The text of a JUnit file; characters that XML cannot hold are left out.

    Args:
        suite: name of the suite.
        cases: its test cases.
        properties: further facts, by name.
    """
    outcomes = Counter(case.outcome for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(outcomes["failed"]), "errors": str(outcomes["error"])}
    root = ElementTree.Element("testsuites", {"name": xml_text(suite), **counts})
    element = ElementTree.SubElement(
        root, "testsuite", {"name": xml_text(suite), **counts, "skipped": str(outcomes["skipped"]), "time": "0"}
    )
    if properties:
        holder = ElementTree.SubElement(element, "properties")
        for name, value in properties.items():
            ElementTree.SubElement(holder, "property", {"name": xml_text(name), "value": xml_text(value)})
    for case in cases:
        names = {"classname": xml_text(case.classname), "name": xml_text(case.name), "time": "0"}
        test = ElementTree.SubElement(element, "testcase", names)
        if case.outcome == "skipped":
            ElementTree.SubElement(test, "skipped", {"message": xml_text(case.message)})
        elif case.outcome != "passed":
            tag, kind = ("failure", "regression") if case.outcome == "failed" else ("error", "bad input")
            detail = ElementTree.SubElement(test, tag, {"message": xml_text(case.message), "type": kind})
            detail.text = xml_text(case.text or case.message)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def xml_text(text: str) -> str:
    """The text without what XML 1.0 cannot hold."""
    return _NO_TEXT.sub("", text)
