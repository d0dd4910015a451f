"""`installed.py LOCK...`: status 0 where this environment holds what the locks name, in their versions; else 1, and says what is amiss.

`make setup` asks it whether there is anything to do: a time stamp cannot know of a package that was taken away since.
"""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement


def amiss(lock: str) -> list[str]:
    """What the text of a lock names for this platform and is not here, or here in another version."""
    wrong = []
    for line in lock.splitlines():
        if not line[:1].isalnum():
            continue
        wanted = Requirement(line.removesuffix("\\"))
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            here = version(wanted.name)
        except PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(here, prereleases=True):
            wrong.append(f"{wanted.name} is {here}, not {wanted.specifier}")
    return wrong


if __name__ == "__main__":
    found = [problem for path in sys.argv[1:] for problem in amiss(Path(path).read_text())]
    if found:
        print(f"{', '.join(found[:5])}{f' and {len(found) - 5} more' if len(found) > 5 else ''}: setting up again")
    sys.exit(1 if found else 0)
