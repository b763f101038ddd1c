#!/usr/bin/env python3
"""Asks a real Prometheus, which scrapes a real server with simulated GPUs, every query of deploy/grafana/joulemark.json: each
is parsed, has an answer, and the answer has the labels that its legend names. Also that the dashboard itself is in order.

Usage: check.py PROGRAMS, the folder with joulemark and libmock_nvml.so; prometheus is on the PATH or below target/tools."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
DASHBOARD = json.loads((REPOSITORY / "deploy/grafana/joulemark.json").read_text())
# Panels that every Grafana has.
CORE = {"bargauge", "row", "stat", "state-timeline", "table", "timeseries"}
# Series of Prometheus itself.
OF_PROMETHEUS = {"up"}
VARIABLES = {"$__rate_interval": "20s", "$__range": "30s", "$job": ".*", "$instance": ".*"}
QUICK = {"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 2, "num_cycles": 1, "warmup_iterations": 0,
         "idle_baseline_sec": 0}
# These two have the CPU and wait for it while Prometheus looks.
SLOW = {"model_name": "synthetic:decode_ms=5000", "prompts": ["a"], "max_output_tokens": 100, "idle_baseline_sec": 0}
PATIENCE_SEC = 120


def panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries():
    """Every expression with its legend and where it stands."""
    for panel in panels():
        for target in panel["targets"]:
            yield f"{panel['title']}, {target['refId']}", target["expr"], target["legendFormat"]


def in_force(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def names(expression):
    """The series that an expression names; what stands in quotes, in brackets or before a parenthesis is none."""
    bare = re.sub(r'"[^"]*"|\[[^]]*\]', "", expression)
    return set(re.findall(r"\b(?:joulemark|process)_\w+|\bup\b", bare))


class InOrder(unittest.TestCase):
    def test_its_datasource_is_a_variable_and_every_panel_has_it(self):
        variable = DASHBOARD["templating"]["list"][0]
        self.assertEqual((variable["name"], variable["type"], variable["query"]), ("datasource", "datasource", "prometheus"))
        own = {"type": "prometheus", "uid": "${datasource}"}
        for each in [*panels(), *DASHBOARD["annotations"]["list"], *DASHBOARD["templating"]["list"][1:]]:
            self.assertEqual(each["datasource"], own, each.get("title") or each["name"])
        for panel in panels():
            for target in panel["targets"]:
                self.assertEqual(target["datasource"], own, panel["title"])

    def test_every_panel_says_what_it_shows_in_which_unit_and_none_needs_a_plugin(self):
        for panel in panels():
            self.assertIn(panel["type"], CORE, panel["title"])
            self.assertGreater(len(panel["description"]), 20, panel["title"])
            self.assertTrue(panel["fieldConfig"]["defaults"]["unit"], panel["title"])
            self.assertTrue(panel["fieldConfig"]["defaults"]["thresholds"]["steps"], panel["title"])

    def test_no_panel_lies_over_another_or_has_its_id(self):
        cells, ids = {}, set()
        for panel in DASHBOARD["panels"]:
            self.assertNotIn(panel["id"], ids)
            ids.add(panel["id"])
            at = panel["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
            for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
                self.assertNotIn(cell, cells, f"{panel['title']} lies over {cells.get(cell)}")
                cells[cell] = panel["title"]

    def test_every_query_is_of_the_chosen_job_and_servers(self):
        for where, expression, _ in queries():
            for selector in re.findall(r"(?:joulemark|process)_\w+(\{[^}]*\})?|\bup(\{[^}]*\})", expression):
                self.assertIn('job=~"$job", instance=~"$instance"', "".join(selector), where)


class Answered(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        folder = pathlib.Path(cls.stack.enter_context(tempfile.TemporaryDirectory()))
        cls.server = Server(cls.stack, folder)
        cls.prometheus = Prometheus(cls.stack, folder, cls.server.url)
        cls.server.fail_a_write()
        cls.server.run_experiments()
        cls.prometheus.until_it_has_seen(cls.server)

    def test_every_query_has_an_answer_with_the_labels_of_its_legend(self):
        seen = 0
        for where, expression, legend in queries():
            with self.subTest(where):
                result = self.prometheus.query(in_force(expression))
                self.assertTrue(result, f"no series answers {in_force(expression)}")
                for series in result:
                    for label in re.findall(r"\{\{(\w+)\}\}", legend):
                        self.assertIn(label, series["metric"], expression)
                seen += 1
        self.assertGreater(seen, 50)

    def test_every_series_that_is_asked_for_is_in_the_servers_metrics(self):
        families = set(re.findall(r"^# TYPE (\S+) ", self.server.metrics(), re.M))
        expressions = [expression for _, expression, _ in queries()]
        expressions += [annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]]
        asked = set().union(*map(names, expressions))
        self.assertGreater(len(asked), 30)
        for name in sorted(asked - OF_PROMETHEUS):
            self.assertIn(re.sub(r"_(bucket|sum|count)$", "", name), families)

    def test_every_family_of_the_server_is_shown_somewhere(self):
        families = set(re.findall(r"^# TYPE (joulemark_\S+) ", self.server.metrics(), re.M))
        shown = {re.sub(r"_(bucket|sum|count)$", "", name) for _, expression, _ in queries() for name in names(expression)}
        self.assertEqual(families - shown, set())

    def test_the_variables_and_the_annotation_are_answered(self):
        for variable in DASHBOARD["templating"]["list"][1:]:
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            result = self.prometheus.query(in_force(metric))
            self.assertTrue(result and all(label in series["metric"] for series in result), variable["name"])
        for annotation in DASHBOARD["annotations"]["list"]:
            # It has an answer only after a restart; that it is parsed is what is asked here.
            self.prometheus.query(in_force(annotation["expr"]))

    def test_what_is_not_there_is_not_answered(self):
        self.assertEqual(self.prometheus.query('joulemark_experiments{state="nowhere"}'), [])
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.prometheus.query("sum by (")
        refused.exception.close()


class Server:
    """A service with two simulated GPUs, all whose metrics are there: a key that ends, a backup, a write that failed, an
    experiment that waits."""

    def __init__(self, stack, folder):
        self.program = PROGRAMS / "joulemark"
        self.file = folder / "joulemark.db"
        self.database = f"sqlite://{self.file}"
        library = folder / "libmock_nvml.so"
        shutil.copy(PROGRAMS / "libmock_nvml.so", library)
        pathlib.Path(f"{library}.conf").write_text("devices=2\nshape=constant:250,constant:100\n")
        self.command("key", "create", "--name", "ada", "--role", "reader", "--expires", "2d")
        self.process = start(stack, folder / "server.log", [
            self.program, "serve", "--listen", "127.0.0.1:0", "--database-url", self.database, "--lock-dir", folder / "locks",
            "--models-dir", folder, "--allow-synthetic-engine", "--nvml-lib", library])
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), (folder / "server.log").read_text()
        self.url = line.removeprefix("listening on ").strip()
        self.command("db", "backup", folder / "copy.db")

    def command(self, *arguments):
        subprocess.run([self.program, *arguments, "--database-url", self.database], check=True, stdout=subprocess.DEVNULL)

    def ask(self, path, body=None):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body else None,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def metrics(self):
        return self.ask("/metrics")

    def fail_a_write(self):
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as database:
            database.execute("CREATE TRIGGER refuse BEFORE INSERT ON experiments BEGIN SELECT RAISE(ABORT, 'refused'); END")
            try:
                self.ask("/v1/experiments", QUICK)
                raise AssertionError("it was written all the same")
            except urllib.error.HTTPError as problem:
                assert problem.code >= 500, problem
                problem.close()
            database.execute("DROP TRIGGER refuse")

    def run_experiments(self):
        for _ in range(3):
            ident = json.loads(self.ask("/v1/experiments", QUICK))["id"]
            self.ask(f"/v1/experiments/{ident}/results?wait=60")
        for _ in range(2):
            self.ask("/v1/experiments", SLOW)


class Prometheus:
    def __init__(self, stack, folder, server):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        target = server.removeprefix("http://")
        (folder / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: joulemark, static_configs: [{{targets: ['{target}']}}]}}]\n")
        start(stack, folder / "prometheus.log", [
            found("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/series",
            f"--web.listen-address=127.0.0.1:{port}"])
        self.log = folder / "prometheus.log"

    def query(self, expression):
        with urllib.request.urlopen(f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": expression}), timeout=30) as answer:
            return json.load(answer)["data"]["result"]

    def until_it_has_seen(self, server):
        """Waits until rates have two samples of what the experiments left, and one of those that run and wait."""
        until = time.monotonic() + PATIENCE_SEC
        wanted = ["sum(joulemark_experiments_finished_total) == 3", 'joulemark_experiments{state="queued"} == 1',
                  "joulemark_running_experiments == 1", "count_over_time(joulemark_queued_experiments[20s]) >= 3",
                  "rate(joulemark_http_request_duration_seconds_count{route='/metrics'}[20s]) > 0"]
        while not all(self.answers(one) for one in wanted):
            if time.monotonic() > until:
                sys.exit(f"Prometheus has not seen {[one for one in wanted if not self.answers(one)]}\n"
                         f"{self.log.read_text()}\n{server.metrics()}")
            time.sleep(0.2)

    def answers(self, expression):
        try:
            return self.query(expression)
        except urllib.error.HTTPError as problem:
            if problem.code != 503:
                raise
            problem.close()
        except OSError:
            pass
        # It does not listen yet, or reads what it has.
        return []


def found(program):
    beside = REPOSITORY / "target/tools/usr/bin" / program
    return shutil.which(program) or str(beside)


def start(stack, log, command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stack.enter_context(open(log, "w")), text=True)

    def stop():
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    stack.callback(stop)
    return process


if __name__ == "__main__":
    PROGRAMS = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
