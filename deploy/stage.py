"""Fills `build/<function>/` with exactly what is deployed: run, test and deploy all start from there.

    python -m deploy.stage [--out build] [--compile] [auth] [billing] [tenants]

The platform wants `main.py` and `requirements.txt` at the top of the source, and nothing from above it can be
imported. Equal sources give equal bytes.
"""

import argparse
import compileall
import fcntl
import os
import py_compile
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

ENTRY_POINTS = {"auth": "auth_handler", "billing": "billing_handler", "tenants": "tenant_handler"}
DEPLOYED_SUFFIXES = frozenset({".py", ".html", ".css", ".json", ".gz"})

_MAIN = '''"""Generated: where the platform looks for the entry point."""

import gc

gc.set_threshold(20_000, 20, 20)  # what is imported stays, and would be walked again and again

from functions.{function}.main import {entry_point}

__all__ = ["{entry_point}"]
'''


class StageError(Exception):
    """What is wrong, in one line for a person."""


def stage(functions: Sequence[str], out: Path, *, root: Path = ROOT, compiled: bool = False) -> list[Path]:
    """Replaces each function's folder in one step, so that nothing ever sees half of one.

    Returns the folders. Raises StageError.
    """
    unknown = sorted(set(functions) - set(ENTRY_POINTS))
    if unknown:
        raise StageError(f"no function {', '.join(unknown)}; there are {', '.join(ENTRY_POINTS)}")
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        return [_stage_one(function, out, root, compiled) for function in functions]


def _stage_one(function: str, out: Path, root: Path, compiled: bool) -> Path:
    fresh = Path(tempfile.mkdtemp(dir=out, prefix=f".{function}-"))
    try:
        fresh.chmod(0o755)  # mkdtemp makes it private
        _fill(fresh, function, root)
        if compiled:
            _compile(fresh)
        _swap(fresh, out / function)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return out / function


def _fill(folder: Path, function: str, root: Path) -> None:
    main = _MAIN.format(function=function, entry_point=ENTRY_POINTS[function])
    (folder / "main.py").write_text(main, encoding="utf-8")
    required = ("requirements.txt", "functions/__init__.py", f"functions/{function}/main.py")
    for name in required:
        if not (root / name).is_file():
            raise StageError(f"{name} is missing")
    copied = [Path(required[0]), Path(required[1])]
    copied += _deployed_files(root, f"functions/{function}")
    copied += _deployed_files(root, "shared")
    for path in copied:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, target)


def _deployed_files(root: Path, package: str) -> list[Path]:
    """Relative to `root`, sorted. A file of an unexpected kind is refused, not silently left out."""
    files = []
    for path in sorted((root / package).rglob("*")):
        relative = path.relative_to(root)
        if path.is_dir() or any(part == "__pycache__" or part.startswith(".") for part in relative.parts):
            continue
        if path.suffix not in DEPLOYED_SUFFIXES or path.is_symlink():
            raise StageError(
                f"{relative} is no file that is deployed ({' '.join(sorted(DEPLOYED_SUFFIXES))})"
            )
        files.append(relative)
    return files


def _compile(folder: Path) -> None:
    """Bytecode that is bound to nothing but its source: no times and no folder names are in it."""
    done = compileall.compile_dir(
        folder,
        quiet=1,
        force=True,
        stripdir=folder,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        raise StageError(f"{folder.name}: a file does not compile")


def _swap(fresh: Path, target: Path) -> None:
    if not target.exists():
        fresh.rename(target)
        return
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    target.rename(old)  # onto an empty folder, which POSIX allows
    fresh.rename(target)
    shutil.rmtree(old)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two stagers take turns. The lock is on the folder itself and ends with the process."""
    lock = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.stage", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "functions", nargs="*", metavar="function", help=f"of {', '.join(ENTRY_POINTS)}; default: all"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="the folder to fill: build")
    parser.add_argument(
        "--compile", action="store_true", help="bytecode too, as the platform's build makes it"
    )
    options = parser.parse_args(arguments)
    try:
        for folder in stage(options.functions or list(ENTRY_POINTS), options.out, compiled=options.compile):
            print(f"staged {folder}")
    except (StageError, OSError) as wrong:
        print(f"deploy.stage: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
