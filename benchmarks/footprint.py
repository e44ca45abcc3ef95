"""What the core adds to an installed IPython, beside what jupyter-ai-magics adds.

Three fresh virtual environments are made: IPython alone, IPython with this project (core dependencies only) and
IPython with jupyter-ai-magics. Counted are the bytes that the wheels record: the sizes in the ``RECORD`` files of
the packages that stand in an environment and not in that of IPython alone.

The project is built from the last commit, in a copy. Run ``python benchmarks/footprint.py``; it needs a package index.
"""

from __future__ import annotations

import csv
import platform
import shutil
import subprocess
import tempfile
import venv
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
LARGEST = 8


def install(folder: Path, *requirements: str) -> dict[str, Distribution]:
    """Make a virtual environment with the requirements; return its packages by name."""
    venv.create(folder, with_pip=True)
    subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile", *requirements], check=True
    )
    site = next((folder / "lib").glob("python*/site-packages"))
    return {package.metadata["Name"].lower(): package for package in distributions(path=[str(site)])}


def recorded_bytes(package: Distribution) -> int:
    """Sum of the sizes in the package's ``RECORD``."""
    rows = csv.reader((package.read_text("RECORD") or "").splitlines())
    return sum(int(size) for _, _, size in rows if size)


def main() -> None:
    """Install, measure and print a Markdown table."""
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["git", "archive", "--output", folder / "source.tar", "HEAD"], cwd=ROOT, check=True)
        shutil.unpack_archive(folder / "source.tar", folder / "source", filter="data")
        subjects = {"alain-magics": str(folder / "source"), "jupyter-ai-magics": "jupyter-ai-magics"}
        base = install(folder / "ipython", "ipython")
        sizes = {
            subject: {
                key: recorded_bytes(package)
                for key, package in install(folder / subject, "ipython", requirement).items()
                if key not in base
            }
            for subject, requirement in subjects.items()
        }
    ours = sum(sizes["alain-magics"].values())
    print("| added to IPython by | packages | MB | ratio | largest (MB) |")
    print("|---|---:|---:|---:|---|")
    for subject, packages in sizes.items():
        total = sum(packages.values())
        heaviest = sorted(packages.items(), key=lambda item: -item[1])[:LARGEST]
        largest = ", ".join(f"{key} {size / 1e6:.1f}" for key, size in heaviest)
        print(f"| {subject} | {len(packages)} | {total / 1e6:.1f} | {total / ours:.2f} | {largest} |")


if __name__ == "__main__":
    main()
