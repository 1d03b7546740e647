"""Medians, ratios against restic, the required figures, and the table that shows them."""

import json
import platform
from pathlib import Path
from statistics import median

# How many times faster than restic (wall), at least.
REQUIRED_SPEED = {
    ("src", "first"): 4.5, ("bin", "first"): 2.8, ("media", "first"): 4.5, ("tiny", "first"): 6.0,
    ("src", "unchanged"): 8.0, ("tiny", "unchanged"): 12.0,
    ("src", "restore"): 2.5, ("media", "restore"): 3.0,
    ("src", "verify"): 4.0, ("media", "verify"): 6.0,
    ("src", "find"): 50.0,
}  # fmt: skip

# Size of the vault after the first run, as a share of the smaller of restic's and Borg's, at most.
REQUIRED_SIZE = {"src": 0.90, "bin": 1.08, "media": 1.01, "tiny": 0.90}
REQUIRED_PEAK_MB = 150

TITLES = {
    "first": "first run", "unchanged": "unchanged run", "changed": "1 % changed", "restore": "restore",
    "verify": "verify with data", "find": "find one name",
}  # fmt: skip


def summarise(samples: list[dict]) -> list[dict]:
    """One row for each set, phase and tool: medians, ratios, and for qala the checks.

    A sample that failed makes its row an error: a fast failure must never look like speed.
    """
    groups: dict[tuple[str, str, str], list[dict]] = {}
    for sample in samples:
        groups.setdefault((sample["set"], sample["phase"], sample["tool"]), []).append(sample)
    rows = []
    for (data, phase, tool), group in groups.items():
        row = {"set": data, "phase": phase, "tool": tool, "runs": len(group)}
        failed = [sample["error"] for sample in group if sample.get("error")]
        if failed:
            row["error"] = failed[0]
        else:
            for key in ("wall", "cpu", "peak_mb"):
                row[key] = median(sample[key] for sample in group)
            if phase == "first":
                row["vault_mb"] = median(sample["vault_mb"] for sample in group)
        rows.append(row)
    known = {(row["set"], row["phase"], row["tool"]): row for row in rows}
    for row in rows:
        _compare(row, known)
    return rows


def _compare(row: dict, known: dict) -> None:
    if "error" in row:
        row["checks"] = [check("runs", False, row["error"])]
        return
    data, phase = row["set"], row["phase"]
    restic = known.get((data, phase, "restic"), {})
    if "wall" in restic and row["wall"] > 0:
        row["times_faster"] = restic["wall"] / row["wall"]
    if phase == "first":
        peers = [known.get((data, phase, tool), {}).get("vault_mb") for tool in ("restic", "borg")]
        if None not in peers and min(peers) > 0:
            row["size_share"] = row["vault_mb"] / min(peers)
    if row["tool"] != "qala":
        return
    checks = [check("peak", row["peak_mb"] <= REQUIRED_PEAK_MB, f"<= {REQUIRED_PEAK_MB} MB")]
    least = REQUIRED_SPEED.get((data, phase))
    if least is not None and "times_faster" in row:
        checks.insert(0, check("speed", row["times_faster"] >= least, f">= {least:g}x"))
    most = REQUIRED_SIZE.get(data)
    if most is not None and "size_share" in row:
        checks.append(check("size", row["size_share"] <= most, f"<= {most:.2f}"))
    row["checks"] = checks


def check(what: str, passed: bool, required: str) -> dict:
    return {"what": what, "required": required, "passed": bool(passed)}


def failures(rows: list[dict]) -> int:
    return sum(not check["passed"] for row in rows for check in row.get("checks", ()))


def table(rows: list[dict]) -> str:
    """A Markdown table whose columns line up in a terminal."""
    head = ("set", "phase", "tool", "wall s", "cpu s", "peak MB", "vault MB", "vs restic", "size share", "check")
    lines = [
        (row["set"], TITLES[row["phase"]], row["tool"], number(row, "wall", 2), number(row, "cpu", 2),
         number(row, "peak_mb", 0), number(row, "vault_mb", 0), number(row, "times_faster", 1, "x"),
         number(row, "size_share", 2), verdict(row))
        for row in rows]  # fmt: skip
    return grid(head, lines, left={0, 1, 2, 9})


def grid(head: tuple[str, ...], lines: list[tuple[str, ...]], left: set[int]) -> str:
    """A Markdown table; the columns `left` are aligned there, all others at their right."""
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    rendered = []
    for line in [head, *lines]:
        cells = [cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in enumerate(zip(line, widths))]
        rendered.append("| " + " | ".join(cells) + " |")
    ruler = ["-" * width if at in left else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    rendered.insert(1, "| " + " | ".join(ruler) + " |")
    return "\n".join(rendered)


def number(row: dict, key: str, digits: int, unit: str = "") -> str:
    return f"{row[key]:.{digits}f}{unit}" if key in row else ""


def verdict(row: dict) -> str:
    checks = row.get("checks", [])
    if not checks:
        return ""
    bad = [f"{check['what']} {check['required']}" for check in checks if not check["passed"]]
    return "FAIL: " + ", ".join(bad) if bad else "PASS: " + ", ".join(f"{c['what']} {c['required']}" for c in checks)


def last_line(log: Path) -> str:
    """What a tool said last, for its failure."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "no output"


def heading(document: dict, title: str) -> list[str]:
    """The lines that say when and on what was measured."""
    machine = document["machine"]
    return [
        f"# {title} of {document['date']}",
        "",
        f"{machine['cpu']}, {machine['cores']} processors ({', '.join(machine['features'])}), {machine['memory_gb']} GB of "
        f"memory; disk {machine['disk']}; {machine['system']}, kernel {machine['kernel']}.",
        "",
        "; ".join(f"{tool}: {version}" for tool, version in document["versions"].items()) + ".",
        "",
    ]


def write(document: dict, text: str, directory: Path, label: str | None, what: str = "") -> list[Path]:
    """Both files of a result, under a name that is not there yet; `label` is the kind of machine."""
    kind = label or f"{document['machine']['cores']}cpu-{platform.machine()}"
    directory.mkdir(parents=True, exist_ok=True)
    first = stem = f"{document['date']}-{kind}{what}"
    number = 1
    while (directory / f"{stem}.json").exists():
        number += 1
        stem = f"{first}-{number}"
    paths = [directory / f"{stem}.json", directory / f"{stem}.md"]
    paths[0].write_text(json.dumps(document, indent=1) + "\n")
    paths[1].write_text(text)
    return paths


def markdown(document: dict) -> str:
    """The whole result as a page."""
    lines = heading(document, "Benchmark")
    for name, size in document["sets"].items():
        files = f"{size['files']:,}".replace(",", " ")
        lines.append(f"- `{name}`: {files} files, {size['bytes'] / 1e9:.2f} GB")
    lines += [
        "",
        f"Medians of {document['rounds']} interleaved rounds (Borg: {document['borg_rounds']}), warm cache. `vs restic` is restic's wall time divided by the "
        "tool's; `size share` is the vault's size divided by the smaller of restic's and Borg's.",
        "",
        table(document["summary"]),
    ]
    if document["disturbed"]:
        lines += ["", f"The machine was not quiet before {document['disturbed']} of {len(document['samples'])} measurements."]
    return "\n".join(lines) + "\n"
