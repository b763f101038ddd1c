#!/usr/bin/env python3
"""What can be known of the Dockerfile without building it: that it is parsed as meant, that .dockerignore leaves what it
copies, and that no source file embeds one that the image's build does not see."""

import pathlib
import re
import sys
import tempfile
import unittest

import parse

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
EMBEDDED = re.compile(r'include_(?:str|bytes)!\(\s*"([^"]+)"')


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
        for source in (REPOSITORY / "src").rglob("*.rs"):
            for embedded in EMBEDDED.findall(source.read_text()):
                target = (source.parent / embedded).resolve().relative_to(REPOSITORY).as_posix()
                self.assertIn(target, self.copied, f"{source} embeds it")

    def test_no_key_model_or_history_gets_into_an_image(self):
        for name in self.copied:
            self.assertNotRegex(name, r"\.(gguf|safetensors|db|env|pem|key)$|^\.git/")


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    unittest.main()
