"""The report: its lines, their bounds, the time that is left, and the two files that are written."""

import json
import os
import time

PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not applicable"
OUT_OF_TIME = "out of time"

# A bound's name in the report, its words, and what it asks of a figure.
BOUNDS = {
    "at_most": ("≤", lambda figure, bound: figure <= bound),
    "at_least": ("≥", lambda figure, bound: figure >= bound),
    "above": (">", lambda figure, bound: figure > bound),
    "equal": ("=", lambda figure, bound: figure == bound),
}


class OutOfTime(Exception):
    """A step had no time left."""


class NotApplicable(Exception):
    """A step has nothing to look at here; says why."""


class Report:
    """Collects lines. A line that holds a figure of a GPU is marked where the GPU is simulated."""

    def __init__(self, is_quick, limit_sec, is_simulated):
        self.is_quick = is_quick
        self.limit_sec = limit_sec
        self.is_simulated = is_simulated
        self.started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.begun = time.monotonic()
        self.lines = []
        self.host = {}

    def left_sec(self):
        """Returns the seconds that are left for all that is still to do."""
        return self.limit_sec - (time.monotonic() - self.begun)

    def step(self, name, need_sec, work, *arguments):
        """Runs a step whose lines `work` adds. One that needs more time than is left is skipped, one that breaks fails."""
        if self.left_sec() < need_sec:
            self.skip(name, "all of it", OUT_OF_TIME)
            return
        try:
            work(Step(self, name), *arguments)
        except OutOfTime:
            self.skip(name, "the rest of it", OUT_OF_TIME)
        except NotApplicable as reason:
            self.skip(name, "all of it", str(reason))
        except Exception as error:  # A step that breaks is a line of the report, and the others still run.
            self.add(name, "it runs to its end", FAIL, note=f"{type(error).__name__}: {error}")

    def skip(self, step, check, why):
        self.add(step, check, NOT_APPLICABLE, note=why)

    def add(self, step, check, verdict, figure=None, unit=None, bound=None, note=None, of_gpu=True):
        simulated = self.is_simulated and of_gpu and figure is not None
        line = {
            "step": step, "check": check, "verdict": verdict, "figure": figure, "unit": unit, "bound": bound,
            "simulated": simulated, "note": note,
        }
        self.lines.append(line)
        print(f"{self.limit_sec - self.left_sec():6.1f} s  {verdict:<14}  {in_words(line)}", flush=True)

    def count(self, verdict):
        return sum(line["verdict"] == verdict for line in self.lines)

    def document(self):
        return {
            "schema": 1,
            "verdict": FAIL if self.count(FAIL) else PASS,
            "simulated": self.is_simulated,
            "quick": self.is_quick,
            "started_at": self.started_at,
            "duration_sec": round(time.monotonic() - self.begun, 1),
            "limit_sec": self.limit_sec,
            "counts": {verdict: self.count(verdict) for verdict in (PASS, FAIL, NOT_APPLICABLE)},
            "host": self.host,
            "lines": self.lines,
        }


class Step:
    """What one step adds its lines by."""

    def __init__(self, report, name):
        self.report = report
        self.name = name

    def check(self, what, figure, unit, note=None, of_gpu=True, **bound):
        """Adds a line that passes where the figure keeps all its bounds; a figure that is not known fails."""
        passes = figure is not None and all(BOUNDS[name][1](figure, value) for name, value in bound.items())
        if isinstance(figure, float):
            figure = float(f"{figure:.6g}")
        note = "the figure is not known" if figure is None and note is None else note
        self.report.add(self.name, what, PASS if passes else FAIL, figure, unit, bound, note, of_gpu)
        return passes

    def skip(self, what, why):
        self.report.skip(self.name, what, why)


def in_words(line):
    words = f"{line['step']}: {line['check']}"
    if line["figure"] is not None:
        words += f": {figure_in_words(line)}" + (f" ({bound_in_words(line)})" if line["bound"] else "")
    return words + (f"; {line['note']}" if line["note"] else "")


def figure_in_words(line):
    if line["figure"] is None:
        return ""
    return f"{line['figure']} {line['unit'] or ''}".strip() + (" simulated" if line["simulated"] else "")


def bound_in_words(line):
    return " and ".join(f"{BOUNDS[name][0]} {value}" for name, value in (line["bound"] or {}).items())


def markdown(document):
    """Returns the page."""
    host = document["host"]
    boards = ", ".join(f"{gpu['name']} ({gpu['uuid']})" for gpu in host.get("gpus", [])) or "no GPU"
    counts = ", ".join(f"{number} {verdict}" for verdict, number in document["counts"].items())
    lines = [
        f"# {boards}",
        "",
        f"`deploy/accept-gpu.sh{' --quick' if document['quick'] else ''}` of {document['started_at']}, "
        f"{document['duration_sec']} s: **{document['verdict']}** ({counts}).",
        "",
    ]
    if document["simulated"]:
        lines += ["**Simulated**: NVML is a mock and inference ran on the CPU. No figure below is of a GPU.", ""]
    lines += [f"- {name}: {value}" for name, value in host.items() if name != "gpus"]
    lines += ["", "| step | check | verdict | figure | bound | note |", "|---|---|---|---|---|---|"]
    for line in document["lines"]:
        cells = [line["step"], line["check"], line["verdict"], figure_in_words(line), bound_in_words(line), line["note"] or ""]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def write(document, folder, name):
    """Writes both files and returns their paths."""
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, f"{name}.{ending}") for ending in ("json", "md")]
    for path, text in zip(paths, [json.dumps(document, indent=2, ensure_ascii=False) + "\n", markdown(document)]):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return paths


def place(document, folder):
    """Writes both files for good, named by board and day, and returns their paths.

    Raises ValueError where a figure is simulated: nobody should take it for a GPU's."""
    simulated = sum(line["simulated"] for line in document["lines"])
    if document["simulated"] or simulated:
        raise ValueError(f"{simulated} figures are simulated")
    board = document["host"]["gpus"][0]["name"]
    slug = "-".join("".join(letter if letter.isalnum() else " " for letter in board.lower()).split())
    return write(document, folder, f"{slug}-{document['started_at'][:10]}" + ("-quick" if document["quick"] else ""))
