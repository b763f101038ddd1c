"""What a Dockerfile says, as far as ours says it: any other instruction is an error, not passed over."""

import fnmatch
import json
import pathlib
import re
import shlex
import shutil
from dataclasses import dataclass, field

KNOWN = {"ARG", "FROM", "ENV", "COPY", "RUN", "WORKDIR", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


@dataclass
class Instruction:
    line: int
    name: str
    rest: str


@dataclass
class Stage:
    image: str
    name: str
    instructions: list = field(default_factory=list)


def instructions(text):
    """Lines joined where they end in a backslash; comments inside of them left out, as Docker does."""
    found, begun, parts = [], 0, []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not parts):
            continue
        begun = begun if parts else number
        goes_on = line.rstrip().endswith("\\")
        parts.append(line.rstrip()[:-1] if goes_on else line)
        if goes_on:
            continue
        name, _, rest = "".join(parts).strip().partition(" ")
        name = name.upper()
        if name not in KNOWN:
            raise SystemExit(f"Dockerfile:{begun}: {name} is not known to this script")
        found.append(Instruction(begun, name, rest.strip()))
        parts = []
    return found


def substitute(text, variables):
    return re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda match: variables.get(match[1] or match[2], ""), text)


def stages(text, arguments):
    """All stages, and the values of the arguments before the first, where `arguments` go before the defaults."""
    found, given = [], {}
    for instruction in instructions(text):
        if instruction.name == "FROM":
            image, _, name = substitute(instruction.rest, given).partition(" AS ")
            found.append(Stage(image.strip(), name.strip() or str(len(found))))
        elif not found:
            name, default = argument(instruction.rest)
            given[name] = arguments.get(name, substitute(default, given))
        else:
            found[-1].instructions.append(instruction)
    return found


def argument(rest):
    name, _, default = rest.partition("=")
    return name.strip(), default.strip().strip('"')


def pairs(rest, variables):
    """`A=1 B="two"` of an ENV."""
    return dict(substitute(word, variables).split("=", 1) for word in shlex.split(rest))


def words(rest):
    """The exec form, which needs no shell: a list in JSON."""
    if not rest.startswith("["):
        raise SystemExit(f"not in exec form: {rest}")
    return json.loads(rest)


def copy(rest, variables):
    """Where from (a stage, or None for the context), the sources, and the destination."""
    parts = shlex.split(substitute(rest, variables))
    stage = None
    while parts[0].startswith("--"):
        option, _, value = parts.pop(0).partition("=")
        if option != "--from":
            raise SystemExit(f"COPY {option} is not known to this script")
        stage = value
    return stage, parts[:-1], parts[-1]


def health_command(rest):
    return words(rest[rest.index("CMD") + len("CMD"):].strip())


class Context:
    """The files that a build sees: what .dockerignore leaves of the folder."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        text = (self.root / ".dockerignore").read_text()
        lines = [line.strip() for line in text.splitlines()]
        self.patterns = [line for line in lines if line and not line.startswith("#")]

    def has(self, path):
        """The last pattern that fits the path, or a folder that it is in, decides."""
        path = pathlib.PurePosixPath(path)
        kept = True
        for pattern in self.patterns:
            excludes = not pattern.startswith("!")
            pattern = pattern.lstrip("!").strip("/")
            whole = [path, *path.parents][:-1]
            if any(fnmatch.fnmatch(str(part), pattern) for part in whole if str(part).count("/") == pattern.count("/")):
                kept = not excludes
        return kept

    def files(self, pattern):
        """Files of one COPY source, as (path in the context, path below the source)."""
        found = []
        for source in sorted(self.root.glob(pattern)):
            inside = sorted(source.rglob("*")) if source.is_dir() else [source]
            for file in inside:
                name = file.relative_to(self.root)
                if not file.is_dir() and self.has(name.as_posix()):
                    found.append((name, file.relative_to(source) if source.is_dir() else pathlib.Path(file.name)))
        return found

    def copy(self, sources, destination):
        """Carries a COPY of the context out, to a path of this host's, which a slash at its end makes a folder."""
        for source in sources:
            files = self.files(source)
            if not files:
                raise SystemExit(f"COPY {source}: nothing of that name is left by .dockerignore")
            is_folder = (self.root / source).is_dir()
            for name, below in files:
                to = pathlib.Path(destination)
                if is_folder or destination.endswith("/") or len(files) > 1 or len(sources) > 1:
                    to = to / below
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.root / name, to)
