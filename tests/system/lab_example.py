#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The worked example of docs/lab.md, run as it stands there: it is the first thing that somebody who adds a scenario copies."""
import os
import re

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "lab.md")

with open(DOCUMENT, encoding="utf-8") as document:
    EXAMPLE, = re.findall(r"^```python\n(#!.*?)^```$", document.read(), re.M | re.S)
exec(compile(EXAMPLE, DOCUMENT, "exec"))  # pylint: disable=exec-used
