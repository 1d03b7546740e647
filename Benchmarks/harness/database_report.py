"""Medians, ratios against pgBackRest and the required figures of the database benchmark."""

from dataclasses import dataclass
from statistics import median

from . import report

PEER = "pgbackrest"
REQUIRED_PEAK_MB = 200


@dataclass
class Phase:
    """What is required of qala in one phase. A phase is measured in seconds, or in `unit`; of a rate more is better.

    `faster` is at least how many times pgBackRest's speed or rate; `least` and `most` bound the median itself.
    """

    title: str
    unit: str = "s"
    faster: dict[str, float] | None = None
    least: float | None = None
    most: float | None = None
    no_larger: bool = False


QALA, SPOOL, VAULT = "qala", "qala, spool", "qala, vault"

PHASES = {
    "full": Phase("full archive", faster={QALA: 1.7}, no_larger=True),
    "unchanged": Phase("nothing changed", faster={QALA: 2}),
    "changed": Phase("random rows changed", faster={QALA: 2.5}),
    "restore": Phase("full restore", faster={QALA: 1.5}),
    "delta": Phase("delta restore, nothing missing", faster={QALA: 2}),
    "push": Phase("WAL push", "segments/s", faster={SPOOL: 2, VAULT: 1.2}),
    "helper": Phase("push of a small file, helper and all", "ms", most=5),
    "fetch": Phase("WAL fetch", "MB/s", least=320),
    "daemon": Phase("peak of the daemon while WAL comes and goes", "MB", most=REQUIRED_PEAK_MB),
    "accounts-clustered": Phase("growth, neighbouring rows", "x changed", most=1.5),
    "accounts-scattered": Phase("growth, single rows", "x changed", most=9),
    "letters-clustered": Phase("growth, neighbouring rows that compress badly", "x changed", most=1.5),
    "letters-scattered": Phase("growth, single rows that compress badly", "x changed", most=9),
}


def summarise(samples: list[dict]) -> list[dict]:
    """One row for each phase and tool. A sample that failed makes its row an error."""
    groups: dict[tuple[str, str], list[dict]] = {}
    for sample in samples:
        groups.setdefault((sample["phase"], sample["tool"]), []).append(sample)
    rows = []
    for phase in PHASES:
        for (_, tool), group in [item for item in groups.items() if item[0][0] == phase]:
            row = {"phase": phase, "tool": tool, "runs": len(group)}
            told = [sample["error"] for sample in group if sample.get("error")]
            if told:
                row["error"] = told[0]
            else:
                for key in ("wall", "value", "cpu", "peak_mb", "vault_mb"):
                    if all(key in sample for sample in group):
                        row[key] = median(sample[key] for sample in group)
            rows.append(row)
    for row in rows:
        _compare(row, [other for other in rows if other["phase"] == row["phase"] and other["tool"].startswith(PEER)])
    return rows


def _compare(row: dict, peers: list[dict]) -> None:
    if "error" in row:
        row["checks"] = [report.check("runs", False, row["error"])]
        return
    phase, is_rate = PHASES[row["phase"]], "value" in row
    known = [peer["value" if is_rate else "wall"] for peer in peers if ("value" if is_rate else "wall") in peer]
    if known and not is_rate and row.get("wall", 0) > 0:
        row["times_faster"] = min(known) / row["wall"]
    elif known and phase.faster and max(known) > 0:
        row["times_faster"] = row["value"] / max(known)
    if row["tool"].startswith(PEER):
        return
    checks = []
    least = (phase.faster or {}).get(row["tool"])
    if least is not None and "times_faster" in row:
        checks.append(report.check("speed", row["times_faster"] >= least, f">= {least:g}x"))
    if phase.least is not None:
        checks.append(report.check("rate", row["value"] >= phase.least, f">= {phase.least:g} {phase.unit}"))
    if phase.most is not None:
        checks.append(report.check(phase.title.split()[0].rstrip(","), row["value"] <= phase.most, f"<= {phase.most:g} {phase.unit}"))
    if "peak_mb" in row:
        checks.append(report.check("peak", row["peak_mb"] <= REQUIRED_PEAK_MB, f"<= {REQUIRED_PEAK_MB} MB"))
    sizes = [peer["vault_mb"] for peer in peers if "vault_mb" in peer]
    if phase.no_larger and sizes:
        checks.append(report.check("size", row["vault_mb"] <= min(sizes), f"<= {min(sizes):.0f} MB"))
    row["checks"] = checks


def table(rows: list[dict]) -> str:
    head = ("what", "tool", "wall s", "measured", "cpu s", "peak MB", "vault MB", "vs pgBackRest", "check")
    lines = [
        (PHASES[row["phase"]].title, row["tool"], report.number(row, "wall", 2),
         report.number(row, "value", 1, f" {PHASES[row['phase']].unit}"), report.number(row, "cpu", 2),
         report.number(row, "peak_mb", 0), report.number(row, "vault_mb", 1),
         report.number(row, "times_faster", 1, "x"),
         report.verdict(row))
        for row in rows]  # fmt: skip
    return report.grid(head, lines, left={0, 1, 8})


def markdown(document: dict) -> str:
    """The whole result as a page."""
    data = document["data"]
    lines = report.heading(document, "Benchmark of databases")
    lines += [
        f"pgbench scale {data['scale']}, {data['bytes'] / 1e9:.2f} GB; {data['rows']} random rows changed; "
        f"{data['segments']} WAL segments.",
        "",
        f"Medians of {document['rounds']} interleaved rounds, warm cache; growth was measured once. `vs pgBackRest` is its wall time "
        "divided by the tool's, or the tool's rate divided by the better one of its two. Growth is what the vault took more, "
        "divided by the bytes of the pages that changed. A push of `qala, spool` is acknowledged when this host has the segment on storage, "
        "before it is in the vault; one of `qala, vault`, and of pgBackRest, when the vault, or the repository, has it.",
        "",
        table(document["summary"]),
    ]
    if document["disturbed"]:
        lines += ["", f"The machine was not quiet before {document['disturbed']} measurements."]
    return "\n".join(lines) + "\n"
