"""Runs the documents' command lines on a server of its own: python3 tests/documents/commands.py PROGRAMS

Every `joulemark` and `curl` line of README and docs/ that needs neither a GPU nor another server is run in the order in which it
stands, with the synthetic engine in place of a model, and has to end as `EXPECTED` says. `SKIPPED` lists the others with the
reason. README's lines of Python draw their figure.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(sys.argv.pop(1)).resolve()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODEL = "synthetic:prefill_ms=1,decode_ms=0"
TINY_LLAMA = """{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 256, "torch_dtype": "float16"}"""
SKIPPED = {
    r"joulemark serve": "starts a server, as this check does",
    r"joulemark probe": "needs another server",
    r"joulemark doctor --config FILE": "needs another server's configuration",
    r"joulemark meter --json --gpus": "needs GPUs",
    r"joulemark flops --model models/": "needs a model",
    r"joulemark sweep batch.yaml": "needs a GPU",
    r"curl .*gpubox": "names a host of the reader's",
}
# Exit statuses other than 0 alone.
EXPECTED = {
    # 1: there are estimates only, as on most hosts of this check.
    r"joulemark doctor": {0, 1},
    # 8: worse, which two runs of the same may be by chance.
    r"joulemark compare .*--fail-if-worse": {0, 8},
    # 6: it still runs.
    r"joulemark sweep ID": {0, 6},
    # 2: it is finished already.
    r"joulemark cancel": {0, 2},
    # 28: curl's own, the time is up: this stream has no end.
    r"curl -N .*v1/events": {28},
}


def matching(table, line):
    return next((value for pattern, value in table.items() if re.match(pattern, line)), None)


def command_lines():
    """Yields each document and each of its indented command lines, without a prompt and joined where they go on."""
    for document in DOCUMENTS:
        for line in re.findall(r"(?m)^    (?:\$ )?((?:joulemark|curl) (?:.*'\{\n(?:    .*\n)*?    \}'|.*))", document.read_text()):
            yield document, re.sub(r"\n    ", "\n", line)


def first_block(document, language):
    return re.search(rf"(?ms)^```{language}\n(.*?)^```$", (ROOT / document).read_text())[1]


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = f"sqlite://{cls.folder / 'joulemark.db'}"
        cls.environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(cls.folder),
                           "JOULEMARK_DATABASE_URL": database}
        log = stack.enter_context((cls.folder / "log").open("w"))
        server = subprocess.Popen(
            [PROGRAMS / "joulemark", "serve", "--listen", "127.0.0.1:0", "--lock-dir", cls.folder / "locks", "--allow-synthetic-engine",
             "--models-dir", cls.folder, "--rate-limit-per-minute", "0"],
            cwd=cls.folder, env=cls.environment, stdout=subprocess.PIPE, stderr=log, text=True)
        stack.callback(server.communicate)
        stack.callback(server.terminate)
        line = server.stdout.readline()
        assert line.startswith("listening on "), (cls.folder / "log").read_text()
        cls.server = line.removeprefix("listening on ").strip()
        cls.environment["JOULEMARK_SERVER"] = cls.server
        cls.write_files()
        cls.ids = [cls.run_line("joulemark submit experiment.yaml --wait --quiet").stdout.split()[0] for _ in range(2)]
        cls.sweep = cls.run_line("joulemark sweep sweep.yaml --quiet").stdout.strip()
        for name in ("results.json", "main.json", "new.json"):
            cls.run_line(f"joulemark results {cls.ids[0]} --json > {name}")

    @classmethod
    def write_files(cls):
        """Writes the files that the documents' lines name, README's experiment and docs/sweeps.md's first sweep among them."""
        experiment = re.sub(r"model_name: \S+", f"model_name: '{MODEL}'", first_block("README.md", "yaml"))
        experiment = re.sub(r"num_cycles: 5", "num_cycles: 2", experiment) + "idle_baseline_sec: 0\n"
        for name in ("experiment.yaml", "a.yaml", "b.yaml", "e.yaml"):
            (cls.folder / name).write_text(experiment)
        (cls.folder / "e.yaml").write_text(re.sub(r"(?m)^prompts:.*\n", "prompts: [Hello]\n", experiment))
        sweep = re.sub(r"model_name: \S+", f"model_name: '{MODEL}'\n  idle_baseline_sec: 0", first_block("docs/sweeps.md", "yaml"))
        (cls.folder / "sweep.yaml").write_text(sweep)
        (cls.folder / "chats.jsonl").write_text('{"prompt": "Hello"}\n{"messages": [{"role": "user", "content": "Hello"}]}\n')
        (cls.folder / "config.json").write_text(TINY_LLAMA)
        (cls.folder / "train.py").write_text("print('trained')\n")
        if not shutil.which("python", path=cls.environment["PATH"]):
            (cls.folder / "bin").mkdir()
            (cls.folder / "bin/python").symlink_to(sys.executable)
            cls.environment["PATH"] += f":{cls.folder / 'bin'}"

    @classmethod
    def run_line(cls, line, expected=frozenset({0})):
        ran = subprocess.run(["bash", "-c", line], cwd=cls.folder, env=cls.environment, capture_output=True, text=True, timeout=120)
        assert ran.returncode in expected, f"{line}\nended with {ran.returncode}: {ran.stderr}{ran.stdout[-2000:]}"
        return ran

    def of_here(self, line):
        """Returns the line with this check's server, ids and files in place of the reader's."""
        line = line.replace("joulemark sweep ID", f"joulemark sweep {self.sweep}")
        for name, value in (("ID_A", self.ids[0]), ("ID_B", self.ids[1]), ("BASELINE", self.ids[0]), ("CANDIDATE", self.ids[1]),
                            ("ID", self.ids[0]), ("FILE", "result.tar")):
            line = re.sub(rf"\b{name}\b", value, line)
        line = line.replace("localhost:8080", self.server.removeprefix("http://"))
        line = line.replace("SmolLM2-135M-Instruct.Q4_1.gguf", MODEL)
        return re.sub(r"^curl ", "curl --fail --max-time 5 ", line)

    def test_the_command_lines_end_as_they_should(self):
        ran = 0
        for document, line in command_lines():
            if matching(SKIPPED, line):
                continue
            with self.subTest(f"{document.name}: {line}"):
                if "verify" in line:
                    self.run_line(f"joulemark bundle {self.ids[0]} -o result.tar")
                self.run_line(self.of_here(line), matching(EXPECTED, line) or {0})
                if "> experiment.yaml" in line:
                    self.write_files()
                ran += 1
        self.assertGreater(ran, 40)

    def test_readme_s_python_draws_a_figure(self):
        self.run_line("joulemark export --label paper=fig3 -o fig3.parquet")
        (self.folder / "figure.py").write_text(first_block("README.md", "python"))
        self.environment["MPLBACKEND"] = "agg"
        self.run_line(f"{sys.executable} figure.py")
        self.assertGreater((self.folder / "fig3.pdf").stat().st_size, 1000)


if __name__ == "__main__":
    unittest.main()
