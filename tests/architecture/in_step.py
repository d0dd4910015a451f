"""`make check`, last part: what is generated is in step with what it is generated from. Prints what is not, exit code 1."""

import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent


def copy_of_project(folder: Path) -> Path:
    """A copy of the files that git tracks or would track, so that checking changes nothing here."""
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=PROJECT, capture_output=True, check=True).stdout
    for name in filter(None, names.decode().split("\0")):
        source, target = PROJECT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return folder


def differing(copy: Path, *patterns: str) -> list[str]:
    """Files under the patterns that differ between the copy and the project, or are in one only."""
    names = {p.relative_to(base).as_posix() for base in (copy, PROJECT) for pattern in patterns for p in base.glob(pattern)}
    return sorted(n for n in names if not ((copy / n).is_file() and (PROJECT / n).is_file() and (copy / n).read_bytes() == (PROJECT / n).read_bytes()))


def run(copy: Path, *command: str) -> None:
    """Run a command in the copy; its output is shown where it fails."""
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def problems() -> list[str]:
    """One line for each thing out of step."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_of_project(Path(folder))
        run(copy, str(BIN / "nbdev-export"))
        found += [f"{n} is not what its notebook exports: run nbdev-export (or nbdev-update, if the module is right)" for n in differing(copy, "quanticity/**/*.py")]
        run(copy, str(BIN / "nbdev-clean"))
        found += [f"{n} holds outputs or metadata: run nbdev-clean" for n in differing(copy, "nbs/**/*.ipynb")]
        from quanticity.core.config import config_reference
        from quanticity.core.keys import keys_reference

        for name, page in (("redis_keys.md", keys_reference()), ("configuration.md", config_reference())):
            path = PROJECT / "docs" / "reference" / name
            if not path.is_file() or path.read_text(encoding="utf-8") != page:
                found.append(f"docs/reference/{name} is out of step: run make keys")
        readme = PROJECT / "docs" / "readme.py"
        if readme.exists() and subprocess.run([sys.executable, str(readme), "--check"], cwd=PROJECT, capture_output=True).returncode:
            found.append("README.md is out of step with nbs/index.ipynb: run make readme")
    return found


if __name__ == "__main__":
    lines = problems()
    print("\n".join(lines) if lines else "modules, notebooks, references and README are in step")
    sys.exit(bool(lines))
