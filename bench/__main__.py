"""`python -m bench [NAME…] [--quick] [--json FILE]`: run all benchmarks or those named.

`python -m bench chaos [--kills N] [--replicas N] …` is a command of its own: it measures no speed.
`python -m bench churn [MINUTES]` is another: it takes its time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from bench import (
    chaos,
    churn,
    contention,
    cores,
    fairness,
    growth,
    latency,
    live,
    memory,
    pages,
    schedules,
    simulate,
    stalls,
    startup,
    storm,
    throughput,
)
from bench.peers import alertmanager_version
from bench.report import WIDTH

BENCHMARKS = {
    "throughput": throughput.run,
    "latency": latency.run,
    "memory": memory.run,
    "startup": startup.run,
    "schedules": schedules.run,
    "simulate": simulate.run,
    "live": live.run,
    "fairness": fairness.run,
    "stalls": stalls.run,
    "contention": contention.run,
    "storm": storm.run,
    "growth": growth.run,
    "pages": pages.run,
}
# Services keep their data below the current folder: the system's temporary folder may lie in
# memory, where fsync costs nothing.
DATA = Path(".data")
CALM = 0.15  # cores that other processes may use before a report warns


def main() -> None:
    """Run the benchmarks that the command line names."""
    if sys.argv[1:2] == ["chaos"]:
        sys.exit(chaos.main(sys.argv[2:]))
    if sys.argv[1:2] == ["churn"]:
        sys.exit(churn.main(sys.argv[2:]))
    options = _options()
    DATA.mkdir(exist_ok=True)
    # The load generator is this process; it must never compete with the service for a core.
    cores.pin(0, cores.LOAD)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=DATA) as folder:
        uvloop.run(_run(options, Path(folder).resolve()))


async def _run(options: argparse.Namespace, folder: Path) -> None:
    started = time.monotonic()
    facts = {**cores.machine(folder), "Alertmanager": alertmanager_version()}
    print(_wrapped(" · ".join(f"{name} {value}" for name, value in facts.items())))
    reports: list[dict[str, Any]] = []
    for name in options.names or BENCHMARKS:
        bystanders = cores.Bystanders()
        report = await BENCHMARKS[name](folder, quick=options.quick)
        others = bystanders.share()
        if others is not None:
            warning = ": do not trust it" if others > CALM else ""
            report.notes.append(f"other processes kept {others:.2f} cores busy meanwhile{warning}")
        print(report.text(), flush=True)
        reports.append(report.data())
    form = ", in the short form: figures are rough" if options.quick else ""
    print(f"\n{time.monotonic() - started:.0f} s in all{form}")
    if options.json:
        document = {"machine": facts, "quick": options.quick, "benchmarks": reports}
        text = json.dumps(document, indent=2, ensure_ascii=False)
        Path(options.json).write_text(f"{text}\n", "utf-8")


def _options() -> argparse.Namespace:
    choices = ", ".join(BENCHMARKS)
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Benchmarks on loopback, beside Alertmanager where it is installed.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{choices} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a short form with rough figures")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    unknown = ", ".join(sorted(set(options.names) - set(BENCHMARKS)))
    if unknown:
        parser.error(f"there is no benchmark {unknown}: choose from {choices}")
    return options


def _wrapped(text: str) -> str:
    lines = [""]
    for fact in text.split(" · "):
        if len(lines[-1]) + len(fact) + 3 > WIDTH:
            lines.append("")
        lines[-1] += f" · {fact}" if lines[-1] else fact
    return "\n".join(lines)


if __name__ == "__main__":
    main()
