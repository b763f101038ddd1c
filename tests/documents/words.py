"""Holds the documentation of functions to a verb: python3 tests/documents/words.py [--list]

A function's documentation begins with a verb in the third person: at least three quarters do, of each package. Every public
function and type of a library (`crates/`) has documentation. `--list` shows what does not comply, and the first words that were taken for
verbs.
"""

import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEAST = 0.75
VERB = re.compile(r"[A-Z][a-z]+s[,:]?")
# What ends like a verb in the third person and is none.
OTHERS = set(
    "As Its This Bits Blocks Bytes Devices Elements Energies Experiments Experts Floats Ids Indices Joules Layers Lengths Lines"
    " Metrics Microseconds Milliseconds Nanoseconds Operations Parameters Parts Positions Ratios Requests Rows Seconds Spans"
    " Sources Stretches Tiles Tokens Transactions Values Zones".split()
)
ITEM = re.compile(
    r"\s*(?P<visibility>pub(?:\([^)]*\))? )?(?:default |const |async |unsafe |extern \"C\" )*"
    r"(?P<kind>fn|struct|enum|trait|type|union) (?P<name>\w+)"
)


def items(text):
    """Yields the line, visibility, kind, name and first documented line (or None) of each item; what `cfg(test)` hides is not one."""
    documented, attribute, depth, hidden = None, 0, 0, None
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if hidden is not None:
            if line.startswith(hidden + "}"):
                hidden = None
            continue
        if attribute > 0 or bare.startswith("#["):
            if "cfg(test)" in bare:
                depth = 1
            attribute += sum(bare.count(one) for one in "[(") - sum(bare.count(one) for one in ")]")
            continue
        if bare.startswith("///"):
            documented = documented or (number, bare[3:].strip())
            continue
        if depth and bare.endswith("{"):
            hidden = line[: len(line) - len(line.lstrip())]
        item = ITEM.match(line)
        if item and not depth:
            yield number, (item["visibility"] or "").strip(), item["kind"], item["name"], documented
        documented, depth = None, 0


def is_verb(first):
    word = first.split(" ")[0]
    return VERB.fullmatch(word) is not None and word.strip(",:") not in OTHERS


def package_of(path):
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[:2]) if parts[0] in ("crates", "engines") else parts[0]


def main(show):
    counts = collections.defaultdict(lambda: [0, 0])
    verbs, without = collections.Counter(), []
    paths = [path for folder in ("crates", "engines", "src") for path in (ROOT / folder).rglob("*.rs")]
    for path in sorted(paths):
        own = path.relative_to(ROOT)
        if "target" in own.parts or "tests" in own.parts or "benches" in own.parts or path.stem == "tests":
            continue
        for number, visibility, kind, name, documented in items(path.read_text()):
            if documented is None:
                if visibility == "pub" and own.parts[0] == "crates":
                    without.append(f"{own}:{number}: {kind} {name}")
                continue
            if kind == "fn":
                number, first = documented
                count = counts[package_of(path)]
                count[1] += 1
                if is_verb(first):
                    count[0] += 1
                    verbs[first.split(" ")[0]] += 1
                elif show:
                    print(f"{own}:{number}: {first}")
    for package, (with_verb, of) in sorted(counts.items()):
        print(f"{with_verb:5} of {of:5}  {with_verb / of:4.0%}  {package}")
    with_verb, of = (sum(count[index] for count in counts.values()) for index in (0, 1))
    print(f"{with_verb:5} of {of:5}  {with_verb / of:4.0%}  of all functions' documentation begins with a verb")
    print(f"{len(without)} public functions and types of libraries have no documentation")
    if show:
        print(*without, sep="\n")
        print(*(f"{word} {count}" for word, count in verbs.most_common()), sep=", ")
    return without or any(with_verb < LEAST * of for with_verb, of in counts.values())


if __name__ == "__main__":
    sys.exit(1 if main("--list" in sys.argv[1:]) else 0)
