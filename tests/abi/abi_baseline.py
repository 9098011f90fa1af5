#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C headers still declare all of each ABI before, and what was added can be added.

Usage: abi_baseline.py INCLUDE_DIR [--update]

Compares with every abi-MAJOR.MINOR.abi of the same major. --update first writes the file of the
headers' own version anew, which is meant for its release.

What may be added: attributes, structs (so capabilities), and members at the end of a struct that
begins with `size`. All else fails: removed, moved or renamed members, other types, parameters or
results. No suppressions.

Not seen, because the compiler's debug information has none of it: the values of #defines (reasons,
roles, ids of capabilities, the form of the manifest), and what a function means. The app of ABI 1.0
in fixtures/ stands for a part of those. Nor does abidiff tell of a const that came or went in a
struct while the same comparison has something added.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = "every_declaration.c"
PATIENCE = 120  # seconds for each program

# The exit status of abidiff is a sum of these.
ABIDIFF_ERROR = 1
ABIDIFF_USAGE_ERROR = 2
ABIDIFF_CHANGE = 4  # of any kind, also an addition
ABIDIFF_INCOMPATIBLE_CHANGE = 8  # something removed, always with ABIDIFF_CHANGE

# The lines of a leaf report that say that something was added. Every other line is a failure.
HARMLESS_LINES = re.compile("|".join([
    r"",
    r"Leaf changes summary: .*",
    r"Changed leaf types summary: .*",
    r"Removed/Changed/Added functions summary: 0 Removed, 0 Changed, 0 Added functions?",
    r"Removed/Changed/Added variables summary: 0 Removed, 0 Changed, \d+ Added variables?",
    r"\d+ Added variables?:",
    r"  \[A\] '.*",
    r"  \d+ data member insertions?:",
]))
STRUCT_LINE = re.compile(r"'struct (\w+)' changed:")
SIZE_LINE = re.compile(r"  type size changed from (\d+) to (\d+) \(in bits\)")
MEMBER_LINE = re.compile(r"    '.*', at offset (\d+) \(in bits\)")

# Of the full report.
CHANGED_DECLARATION = re.compile(r"^  \[C\] ('.*' was changed to '.*'):$", re.M)


class BaselineError(Exception):
    """The comparison could not be made; the text says why."""


def run(*command, folder=None):
    result = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=PATIENCE, check=False,
                            env={**os.environ, "LC_ALL": "C"})
    return result.returncode, result.stdout, result.stderr


def run_well(*command, folder=None):
    status, output, errors = run(*command, folder=folder)
    if status != 0:
        raise BaselineError(f"{' '.join(command)} ended with {status}:\n{output}{errors}")
    return output


def describe(include, folder):
    """What abidw says of the headers, the same for every compiler and folder."""
    compiler = next(filter(shutil.which, ("gcc", "cc", "clang", "clang-14")), None)
    if compiler is None:
        raise BaselineError("no C compiler found")
    library = os.path.join(folder, "declarations.so")
    run_well(compiler, "-std=c11", "-g", "-O0", "-fPIC", "-shared", "-nostdlib", "-I",
             os.path.abspath(include), "-o", library, SOURCE, folder=HERE)
    text = run_well("abidw", "--headers-dir", os.path.join(os.path.abspath(include), "sonicorn"),
                    "--drop-private-types", "--no-architecture", "--no-corpus-path",
                    "--no-comp-dir-path", "--no-elf-needed", "--no-show-locs",
                    "--no-parameter-names", "--no-write-default-sizes", library)
    # Compilers name the standard differently, and it means nothing here.
    return re.sub(r" language='LANG_C\d*'", "", text)


def structs_of(text):
    """Name of each struct with the names of its members, in order."""
    return {found.get("name"): [member.find("var-decl").get("name")
                                for member in found.findall("data-member")]
            for found in xml.etree.ElementTree.fromstring(text).iter("class-decl")
            if found.get("is-declaration-only") != "yes"}


def missing_structs(include, text):
    """Structs that the headers define and every_declaration.c does not lead to."""
    known = structs_of(text)
    for header in glob.glob(os.path.join(include, "sonicorn", "**", "*.h"), recursive=True):
        with open(header, encoding="utf-8") as file:
            for name in re.findall(r"^struct (\w+) \{|^typedef struct (\w+) \{", file.read(), re.M):
                name = "".join(name)
                if name not in known:
                    yield f"{header} defines {name}: name it in {SOURCE}"


def breaks(report, structs):
    """The lines of a leaf report, of a change from `structs`, that are no mere additions."""
    struct = ""
    old_size = None
    for line in report.splitlines():
        if match := STRUCT_LINE.fullmatch(line):
            struct, old_size = match[1], None
            if structs.get(struct, [""])[:1] != ["size"]:
                yield f"{struct} does not begin with `size`: it must not change"
        elif match := SIZE_LINE.fullmatch(line):
            old_size = int(match[1])
            if int(match[2]) < old_size:
                yield f"{struct}: {line.strip()}"
        elif match := MEMBER_LINE.fullmatch(line):
            # Also in what was padding at the end: `size` would not tell whether it is there.
            if old_size is None or int(match[1]) < old_size:
                yield f"{struct}: a member that is not beyond its end: {line.strip()}"
        elif not HARMLESS_LINES.fullmatch(line):
            yield f"{struct}: {line.strip()}" if line.startswith(" ") else line


def run_abidiff(*arguments):
    status, report, errors = run("abidiff", "--no-default-suppression", "--harmless", *arguments)
    if status < 0 or status & (ABIDIFF_ERROR | ABIDIFF_USAGE_ERROR):
        raise BaselineError(f"abidiff ended with {status}:\n{report}{errors}")
    return status, report


def compare(baseline, new):
    """What of the file `baseline` is broken by the file `new`, as sentences."""
    status, full = run_abidiff(baseline, new)
    if status == 0:
        return []
    # The full report tells a change once for each way to it; that of the leaves, where it is.
    leaf_status, leaf = run_abidiff("--leaf-changes-only", baseline, new)
    with open(baseline, encoding="utf-8") as file:
        found = list(breaks(leaf, structs_of(file.read())))
    if (status | leaf_status) & ABIDIFF_INCOMPATIBLE_CHANGE:
        found.append("something was removed")
    # A const that came or went in a parameter is no leaf.
    hidden = CHANGED_DECLARATION.findall(full)
    if leaf_status == 0 and not hidden:
        hidden = ["a change that the leaves do not show"]
    found += hidden
    print(full if hidden else leaf)
    if not found:
        print(f"Only additions to {os.path.basename(baseline)}.")
    return found


def version_of(include):
    """The headers' major and minor, as texts."""
    with open(os.path.join(include, "sonicorn", "abi.h"), encoding="utf-8") as file:
        return re.findall(r"^#define SONICORN_ABI_(?:MAJOR|MINOR) (\d+)$", file.read(), re.M)


def main():
    arguments = sys.argv[1:]
    update = arguments[1:] == ["--update"]
    if len(arguments) != 1 and not update:
        sys.exit(__doc__)
    include = arguments[0]
    major, minor = version_of(include)
    with tempfile.TemporaryDirectory() as folder:
        text = describe(include, folder)
        found = list(missing_structs(include, text))
        new = os.path.join(folder, "new.abi")
        if update and not found:
            new = os.path.join(HERE, f"abi-{major}.{minor}.abi")
        with open(new, "w", encoding="utf-8") as file:
            file.write(text)
        baselines = sorted(glob.glob(os.path.join(HERE, f"abi-{major}.*.abi")))
        if not baselines:
            raise BaselineError(f"there is no baseline of major {major}")
        for baseline in baselines:
            found += compare(baseline, new)
    for sentence in found:
        print(f"FAILED: {sentence}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    try:
        main()
    except (BaselineError, OSError, subprocess.TimeoutExpired) as error:
        sys.exit(f"FAILED: {error}")
