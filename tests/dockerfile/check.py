#!/usr/bin/env python3
"""What can be known of the Dockerfile without building it: that it is parsed as meant, that .dockerignore leaves what it
copies, that no source file embeds one that the image's build does not see, and, by a cargo that builds nothing, that every
member of the workspace is a stub in the first build and itself in the second."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest

import parse

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
EMBEDDED = re.compile(r'include_(?:str|bytes)!\(\s*"([^"]+)"')
# What cargo builds of a member, and begins with; the rest of its sources is found from there.
BUILT = ("src/lib.rs", "src/main.rs", "build.rs")
STUBS = ("", "fn main() {}\n")
# Says what it was asked for and what it was given, and builds nothing: stands for cargo and for deploy/build-cuda.sh, of which
# a program is left.
CARGO = f"""#!{sys.executable}
import json, os, pathlib, sys
found = [file for file in pathlib.Path(".").rglob("*") if file.name in ("Cargo.toml", "lib.rs", "main.rs", "build.rs")]
files = {{file.as_posix(): [file.read_text(), file.stat().st_mtime_ns] for file in found}}
said = {{"program": pathlib.Path(sys.argv[0]).name, "arguments": sys.argv[1:], "files": files}}
if said["program"] == "build-cuda.sh":
    pathlib.Path("target/release").mkdir(parents=True, exist_ok=True)
    pathlib.Path("target/release/joulemark-mistral-sm90").touch()
with open(os.environ["SAID"], "a") as log:
    print(json.dumps(said), file=log)
"""


class Parsing(unittest.TestCase):
    def test_a_line_goes_on_after_a_backslash_and_comments_inside_are_none_of_it(self):
        text = "FROM a AS b\n# no\nRUN one \\\n  # nor this\n  && two\nUSER 1\n"
        found = [(each.line, each.name, each.rest) for each in parse.instructions(text)]
        self.assertEqual(found, [(1, "FROM", "a AS b"), (3, "RUN", "one   && two"), (6, "USER", "1")])

    def test_an_argument_before_the_first_stage_is_its_default_or_what_is_given(self):
        text = "ARG X=one\nARG Y=${X}-slim\nFROM ${Y}\nRUN true\n"
        self.assertEqual(parse.stages(text, {})[0].image, "one-slim")
        self.assertEqual(parse.stages(text, {"X": "two"})[0].image, "two-slim")

    def test_what_is_not_known_is_not_passed_over(self):
        with self.assertRaises(SystemExit):
            parse.instructions("FROM a\nADD x y\n")

    def test_the_last_pattern_that_fits_decides_of_a_file_and_of_what_is_in_a_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / ".dockerignore").write_text("# all but\n*\n!src\n!tests/one/Cargo.toml\nsrc/secret\n")
            context = parse.Context(root)
            kept = [name for name in ("src/a.rs", "src/b/c.rs", "tests/one/Cargo.toml", "tests/one/lib.rs", "README.md",
                                      "src/secret", ".git/config") if context.has(name)]
        self.assertEqual(kept, ["src/a.rs", "src/b/c.rs", "tests/one/Cargo.toml"])


class Contents(unittest.TestCase):
    def setUp(self):
        self.context = parse.Context(REPOSITORY)
        self.copied = set()
        for stage in parse.stages((REPOSITORY / "Dockerfile").read_text(), {}):
            for instruction in stage.instructions:
                if instruction.name == "COPY":
                    source_stage, sources, _ = parse.copy(instruction.rest, {})
                    for source in [] if source_stage else sources:
                        files = [name for name, _ in self.context.files(source)]
                        self.assertTrue(files, f"Dockerfile:{instruction.line}: nothing is left of {source}")
                        self.copied |= {name.as_posix() for name in files}

    def test_every_file_that_a_source_embeds_is_in_the_build(self):
        for name in sorted(name for name in self.copied if name.endswith(".rs")):
            source = REPOSITORY / name
            for embedded in EMBEDDED.findall(source.read_text()):
                target = (source.parent / embedded).resolve().relative_to(REPOSITORY).as_posix()
                self.assertIn(target, self.copied, f"{source} embeds it")

    def test_no_key_model_or_history_gets_into_an_image(self):
        for name in self.copied:
            self.assertNotRegex(name, r"\.(gguf|safetensors|db|env|pem|key)$|^\.git/")

    def test_both_programs_are_in_the_image_where_the_service_looks_for_its_engine(self):
        image = parse.stages((REPOSITORY / "Dockerfile").read_text(), {})[-1]
        copies = [parse.copy(each.rest, {}) for each in image.instructions if each.name == "COPY"]
        for program, folder in [("joulemark", "/usr/local/bin/"), ("joulemark-mistral", "/usr/local/libexec/joulemark/")]:
            self.assertIn(("build", [f"/build/target/release/{program}"], folder), copies)


def manifest(member):
    return tomllib.loads((REPOSITORY / member / "Cargo.toml").read_text())


def members():
    """Every member of the workspace by its package's name, as its folder."""
    workspace = manifest(".")["workspace"]
    found = [folder for pattern in workspace["members"] for folder in REPOSITORY.glob(pattern)]
    folders = [".", *(str(each.relative_to(REPOSITORY)) for each in found if (each / "Cargo.toml").exists())]
    return {manifest(folder)["package"]["name"]: folder for folder in folders}


def shipped():
    """The members that the programs are made of."""
    known = members()
    needed, found = ["joulemark", "joulemark-mistral"], set()
    while needed:
        name = needed.pop()
        if name in known and name not in found:
            found.add(name)
            needed += [*manifest(known[name]).get("dependencies", {}), *manifest(known[name]).get("build-dependencies", {})]
    return {known[name] for name in found}


def carried_out(**arguments):
    """What cargo and build-cuda.sh were asked for and given, at each of the build stage's calls, and what of it is left."""
    text = (REPOSITORY / "Dockerfile").read_text()
    stage = next(stage for stage in parse.stages(text, {}) if stage.name == "build")
    context = parse.Context(REPOSITORY)
    with tempfile.TemporaryDirectory() as scratch:
        folder, programs, log = (pathlib.Path(scratch, name) for name in ("build", "programs", "log"))
        folder.mkdir()
        programs.mkdir()
        (programs / "cargo").write_text(CARGO)
        (programs / "cargo").chmod(0o755)
        variables = {"PATH": f"{programs}:{os.environ['PATH']}", "SAID": str(log)}
        for each in stage.instructions:
            if each.name == "ARG":
                name, default = parse.argument(each.rest)
                variables[name] = arguments.get(name, default)
            elif each.name == "COPY":
                source_stage, sources, destination = parse.copy(each.rest, {})
                if not source_stage:
                    context.copy(sources, f"{folder}/{destination}")
            elif each.name == "RUN" and "cargo " in each.rest:
                script = folder / "deploy/build-cuda.sh"
                script.write_text(CARGO)
                subprocess.run(["/bin/sh", "-c", each.rest], cwd=folder, env=variables, check=True)
        left = sorted(file.relative_to(folder).as_posix() for file in folder.glob("target/*/*"))
        return [json.loads(line) for line in log.read_text().splitlines()], left


class Layers(unittest.TestCase):
    def test_the_first_build_has_every_members_manifest_and_stubs_of_what_it_builds(self):
        files = carried_out()[0][0]["files"]
        for member in members().values():
            for name in ["Cargo.toml", *BUILT]:
                file = pathlib.PurePosixPath(member, name).as_posix()
                self.assertEqual(file in files, (REPOSITORY / file).exists(), file)
                if file in files and name in BUILT:
                    self.assertIn(files[file][0], STUBS, file)

    def test_the_second_build_has_the_sources_of_what_is_shipped_and_they_are_newer_than_the_stubs(self):
        first, second = (said["files"] for said in carried_out()[0])
        for member in members().values():
            for name in BUILT:
                file = pathlib.PurePosixPath(member, name).as_posix()
                if file not in first:
                    continue
                if member in shipped():
                    self.assertEqual(second[file][0], (REPOSITORY / file).read_text(), file)
                    self.assertGreater(second[file][1], first[file][1], file)
                else:
                    self.assertIn(second[file][0], STUBS, file)

    def test_both_builds_select_every_member_and_those_for_gpus_are_made_by_the_script_where_they_are_asked_for(self):
        cargo = ("cargo", ["build", "--release", "--locked"])
        for cuda, script in [
            ("", []),
            ("90", [("build-cuda.sh", ["90"])]),
            ("--flash-attn 80 90", [("build-cuda.sh", ["--flash-attn", "80", "90"])]),
        ]:
            said, left = carried_out(CUDA=cuda)
            self.assertEqual([(each["program"], each["arguments"]) for each in said], [cargo, *script] * 2)
            for_gpus = ["target/for-gpus/joulemark-mistral-sm90"] if cuda else []
            self.assertEqual(left, [*for_gpus, "target/lib/joulemark"])

    def test_what_is_for_gpus_is_in_the_image_where_the_service_and_the_loader_look_for_it(self):
        image = parse.stages((REPOSITORY / "Dockerfile").read_text(), {})[-1]
        copies = [parse.copy(each.rest, {}) for each in image.instructions if each.name == "COPY"]
        for source, folder in [("for-gpus", "/usr/local/libexec/joulemark/"), ("lib/joulemark", "/usr/local/lib/joulemark/")]:
            self.assertIn(("build", [f"/build/target/{source}/"], folder), copies)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    unittest.main()
