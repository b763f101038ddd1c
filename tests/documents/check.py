"""Holds the documents to what is there: python3 tests/documents/check.py PROGRAMS

Every relative link leads to a file and a heading, every YAML experiment has fields of the API's description alone, every
`joulemark` command line has a subcommand and options that the program knows, every source file that the architecture or a
decision names is there, and README and ARCHITECTURE.md stay short.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve() / "joulemark"
README_BYTES = 6 * 1024
ARCHITECTURE_BYTES = 10 * 1024
DOCUMENTS = sorted(
    path
    for folder in (".", "docs", "docs/*", "deploy", "openapi")
    for path in ROOT.glob(f"{folder}/*.md")
    if path.name not in ("CHANGELOG.md", "HOSTILE.md")
)


def anchors(path):
    """Returns the anchors of a document's headings, as forges make them."""
    found = set()
    for heading in re.findall(r"(?m)^#+ (.*)$", path.read_text()):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"`", "", heading)).strip().lower()
        found.add(plain.replace(" ", "-"))
    return found


def links(text):
    outside_code = re.sub(r"(?ms)^```.*?^```$", "", text)
    return re.findall(r"\]\(([^)\s]+)\)", outside_code)


def places_of(name):
    """Returns where a source file may be that the architecture names: in a crate, in the service, or from the root."""
    crate, _, rest = name.partition("/")
    return [ROOT / "crates" / crate / "src" / rest, ROOT / "src" / name, ROOT / name]


def blocks(text, language):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def help_of(*names):
    run = subprocess.run([PROGRAM, *names, "--help"], capture_output=True, text=True, timeout=60)
    return run.stdout if run.returncode == 0 else None


class Documents(unittest.TestCase):
    def test_every_link_leads_to_a_file_and_a_heading(self):
        dead = []
        for document in DOCUMENTS:
            for link in links(document.read_text()):
                if re.match(r"[a-z]+:", link):
                    continue
                name, _, anchor = link.partition("#")
                target = (document.parent / name).resolve() if name else document
                if not target.exists():
                    dead.append(f"{document.relative_to(ROOT)}: {link}")
                elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                    dead.append(f"{document.relative_to(ROOT)}: {link} (no such heading)")
        self.assertEqual(dead, [])

    def test_readme_is_short(self):
        self.assertLessEqual(len((ROOT / "README.md").read_bytes()), README_BYTES)

    def test_the_architecture_is_short_and_names_source_files_that_are_there(self):
        architecture = ROOT / "ARCHITECTURE.md"
        self.assertLessEqual(len(architecture.read_bytes()), ARCHITECTURE_BYTES)
        missing, seen = [], 0
        for document in (architecture, *(ROOT / "docs/decisions").glob("*.md")):
            for name in re.findall(r"`([\w/-]+/[\w-]+\.rs|[a-z_]+\.rs)`", document.read_text()):
                seen += 1
                if name != "foo.rs" and not any(path.exists() for path in places_of(name)):
                    missing.append(f"{document.relative_to(ROOT)}: {name}")
        self.assertEqual(missing, [])
        self.assertGreater(seen, 50)

    def test_yaml_experiments_have_fields_of_the_description_alone(self):
        schemas = json.loads((ROOT / "openapi/openapi.json").read_text())["components"]["schemas"]
        known = set(schemas["ExperimentRequest"]["properties"])
        seen = 0
        for document in DOCUMENTS:
            for block in blocks(document.read_text(), "yaml"):
                experiment = yaml.safe_load(block)
                if isinstance(experiment, dict) and "model_name" in experiment:
                    seen += 1
                    self.assertEqual(set(experiment) - known, set(), document)
        self.assertGreater(seen, 0)

    def test_command_lines_have_subcommands_and_options_that_there_are(self):
        unknown, helps, seen = [], {}, 0
        for document in DOCUMENTS:
            for line in re.findall(r"(?m)^(?:    |\t)(?:\$ )?(joulemark .*)$", document.read_text()):
                words = self.words_of(line)
                names = [word for word in words[1:3] if re.fullmatch(r"[a-z][a-z-]*", word)]
                text = None
                for count in (len(names), 1):
                    key = tuple(names[:count])
                    helps[key] = helps.get(key) or help_of(*key)
                    text = text or helps[key]
                seen += 1
                options = {word.split("=")[0] for word in words[1:] if re.match(r"--[a-z]", word)}
                missing = [option for option in options if text is None or not re.search(rf"{option}\b", text)]
                if text is None or missing:
                    unknown.append(f"{document.relative_to(ROOT)}: {line} {missing}")
        self.assertEqual(unknown, [])
        self.assertGreater(seen, 20)

    def words_of(self, line):
        """Returns the words of the command, without its comment, and of the command that `meter` runs none."""
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            words = line.split()
        for end in ("--", "|", ">"):
            if end in words:
                words = words[: words.index(end)]
        return words


if __name__ == "__main__":
    unittest.main()
