"""Start-up: how long `curette --help`, `import curette` and the light parts take, and what each brings in.

    python benchmarks/startup.py [--rounds 7]

Every figure is the median over fresh processes, with byte code already compiled; a bare interpreter is measured in turn
with the others and given for comparison.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import curette": ["-c", "import curette"],
    "import curette.query.strategy": ["-c", "import curette.query.strategy"],
    "import curette.loop.ledger": ["-c", "import curette.loop.ledger"],
    "curette --help": ["-m", "curette", "--help"],
    "curette strategies --json": ["-m", "curette", "strategies", "--json"],
    "curette datasets --json": ["-m", "curette", "datasets", "--json"],
}
HEAVY = ("torch", "monai", "sklearn", "matplotlib", "scipy", "numpy", "pydantic", "sqlalchemy", "rich")
LIMITS = {"curette --help": 0.5}


def seconds(arguments: list[str]) -> float:
    """Wall time of one fresh interpreter. Raises `CalledProcessError` when it fails."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def heavy(arguments: list[str]) -> list[str]:
    """The large packages that a command imports, told by ``-X importtime``."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], check=True, capture_output=True, text=True
    )
    found = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    return [name for name in HEAVY if name in found]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    for arguments in COMMANDS.values():
        seconds(arguments)  # compiles byte code and warms the file cache
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    print(f"{'command':32}{'median':>9}{'least':>9}   loads")
    for name, arguments in COMMANDS.items():
        median = statistics.median(times[name])
        limit = f"  (bar: {LIMITS[name]} s)" if name in LIMITS else ""
        print(
            f"{name:32}{median:8.3f}s{min(times[name]):8.3f}s   {', '.join(heavy(arguments)) or '–'}{limit}"
        )


if __name__ == "__main__":
    main()
