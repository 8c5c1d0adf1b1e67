"""Pages: the CPU of each page of a large installation, and its size on the wire."""

from __future__ import annotations

import json
from pathlib import Path

from bench.growth import Site
from bench.peers import quiet_servers
from bench.report import Report

# A company that was tried by hand: 30 schedules, 100 people, 199 routes, 325 open incidents.
SIZES = {
    "routes": 199,
    "silences": 40,
    "inhibit rules": 10,
    "schedules": 30,
    "users": 100,
    "open incidents": 325,
}
PAGES = (
    "/",
    "/incidents",
    "/incidents/ID",
    "/schedules",
    "/schedules/schedule-1",
    "/schedules/schedule-1?view=month",
    "/policies",
    "/policies/wait",
    "/routes",
    "/people",
    "/silences",
    "/deliveries",
    "/insights",
    "/search?text=alert",
    "/admin",
)
ROUNDS = 3  # the cheapest counts
WIRE_AIM = 30.0  # kB of a list and of an incident, compressed
CPU_AIM = 100.0  # ms of any page


async def run(folder: Path, *, quick: bool) -> Report:
    """Draw each page several times, one after another."""
    report = Report(
        "pages",
        "Pages beside 30 schedules, 100 people, 199 routes, 325 open incidents",
        ("page", "CPU", "on the wire"),
    )
    with quiet_servers(folder) as servers:
        site = await Site.start(servers, "", SIZES)
        [incident] = json.loads(site.get("/api/v1/incidents?limit=1"))["incidents"]
        found = dict[str, tuple[float, float]]()
        for page in PAGES:
            path = page.replace("ID", incident["id"])
            cost = min(site.draw(path) for _ in range(1 if quick else ROUNDS))
            found[page] = cost, len(site.get(path, **{"Accept-Encoding": "gzip"})) / 1000
    for page, (cost, size) in found.items():
        report.add_row(page, f"{cost:.1f} ms", f"{size:.1f} kB")
        report.figures.append({"page": page, "cpu_ms": cost, "wire_kb": size})
    dearest = max(found, key=lambda page: found[page][0])
    highest = found[dearest][0]
    report.add_aim(
        f"the dearest page ({dearest})", f"{CPU_AIM:g} ms", f"{highest:.1f}", highest <= CPU_AIM
    )
    for page in ("/incidents", "/incidents/ID"):
        size = found[page][1]
        report.add_aim(f"{page} on the wire", f"{WIRE_AIM:g} kB", f"{size:.1f}", size <= WIRE_AIM)
    report.notes.append("CPU of the service and of its Redis together, drawn anew each time")
    return report
