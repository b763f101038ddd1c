"""Compares the documents with the repository: python3 tests/documents/check.py PROGRAMS

Every relative link leads to a file and a heading. Every experiment and sweep, in YAML or JSON, is valid by the API's description. Every
`name_of_a_field` exists in the description, the options or the source. Every `joulemark` command line has a subcommand and options
that the program knows. Every source file that the architecture or a decision names
exists. README and ARCHITECTURE.md are short. `commands.py` beside this file runs the command lines.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

import jsonschema_rs
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve() / "joulemark"
SHORT = {"README.md": 6 * 1024, "ARCHITECTURE.md": 10 * 1024}
# Names of other projects.
OF_OTHERS = set(
    "CANDLE_DEQUANTIZE_ALL_F16 MISTRALRS_NO_MLA MISTRALRS_NO_NCCL PR_SET_PDEATHSIG is_daemon logits_bias mistralrs_daemon"
    " prepare_distributed_mapper".split()
)
DOCUMENTS = sorted(
    path
    for folder in (".", "docs", "docs/*", "deploy", "openapi", "crates/*")
    for path in ROOT.glob(f"{folder}/*.md")
    if path.name != "CHANGELOG.md"
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
    maxDiff = None

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

    def test_what_everybody_reads_is_short(self):
        for name, bytes_at_most in SHORT.items():
            self.assertLessEqual(len((ROOT / name).read_bytes()), bytes_at_most, name)

    def test_the_architecture_names_source_files_that_exist(self):
        architecture = ROOT / "ARCHITECTURE.md"
        missing, seen = [], 0
        for document in (architecture, *(ROOT / "docs/decisions").glob("*.md")):
            for name in re.findall(r"`([\w/-]+/[\w-]+\.rs|[a-z_]+\.rs)`", document.read_text()):
                seen += 1
                if name != "foo.rs" and not any(path.exists() for path in places_of(name)):
                    missing.append(f"{document.relative_to(ROOT)}: {name}")
        self.assertEqual(missing, [])
        self.assertGreater(seen, 50)

    def test_experiments_and_sweeps_are_valid_by_the_description(self):
        schemas = json.loads((ROOT / "openapi/openapi.json").read_text())["components"]
        validators = {
            field: jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{schema}", "components": schemas})
            for field, schema in (("model_name", "ExperimentRequest"), ("axes", "SweepRequest"))
        }
        wrong, seen = [], 0
        for document in DOCUMENTS:
            text = document.read_text()
            requests = [yaml.safe_load(block) for block in blocks(text, "yaml") + blocks(text, "json")]
            for request in (request for request in requests if isinstance(request, dict)):
                for field, validator in validators.items():
                    if field in request:
                        seen += 1
                        # A sweep may be shown by its axes alone.
                        request = {"base": {"model_name": "any"}, **request} if field == "axes" else request
                        wrong += [f"{document.relative_to(ROOT)}: {error.message}" for error in validator.iter_errors(request)]
        self.assertEqual(wrong, [])
        self.assertGreater(seen, 4)

    def test_every_name_exists(self):
        """A name is a word with an underscore in backticks, such as a field, an option or a constant."""
        sources = [ROOT / "openapi/openapi.json", ROOT / "docs/options.toml", ROOT / "build.rs"]
        for folder in ("src", "crates", "engines", "tests", "deploy", "benches", "migrations"):
            sources += [path for path in (ROOT / folder).rglob("*.*") if path.suffix in (".rs", ".py", ".sh", ".sql", ".yml", ".yaml", ".env")]
        known = set(re.findall(r"\w+", "\n".join(path.read_text(errors="replace") for path in sources)))
        unknown, seen = [], 0
        for document in DOCUMENTS:
            for quoted in re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```$", "", document.read_text())):
                for name in re.findall(r"\b[A-Za-z]\w*_\w+\b(?!…)", quoted):
                    seen += 1
                    option = name.removeprefix("JOULEMARK_").lower()
                    variant = name.title().replace("_", "")
                    if not known & {name, option, variant} and not re.match("NAME_|.*_$", name) and name not in OF_OTHERS:
                        unknown.append(f"{document.relative_to(ROOT)}: {name}")
        self.assertEqual(unknown, [])
        self.assertGreater(seen, 500)

    def test_every_warning_is_explained(self):
        codes = json.loads((ROOT / "openapi/openapi.json").read_text())["components"]["schemas"]["WarningCode"]["enum"]
        explained = (ROOT / "docs/paper.md").read_text()
        self.assertEqual([code for code in codes if f"`{code}`" not in explained], [])

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
