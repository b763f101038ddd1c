#!/usr/bin/env python3
"""What can be known of deploy/compose.yaml without a Docker engine: that it is of the Compose Specification, that every file
it mounts is there, every image pinned, every option one of `joulemark serve`, and that no secret is in an environment.

Runs with the virtual environment of deploy/setup-clients.sh."""

import json
import os
import pathlib
import re
import stat
import subprocess
import tempfile
import tomllib
import unittest

import yaml
from compose_spec import PyCompose

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = REPOSITORY / "deploy"
INTERPOLATED = re.compile(r"\$\{\w+:-([^}]*)\}")
PROMETHEUS = REPOSITORY / "deploy/compose/prometheus.yml"


def document(path):
    """A file with merge keys applied and its variables' defaults in their places."""
    return yaml.safe_load(INTERPOLATED.sub(r"\1", path.read_text()))


COMPOSE = document(FOLDER / "compose.yaml")
SERVICES = COMPOSE["services"]
NODES = {name: service for name, service in SERVICES.items() if "build" in service}


def options():
    """The variables of `joulemark serve`'s options, by the list of them that the documentation has."""
    listed = re.findall(r"^#? ?([a-z_]+) = ", (REPOSITORY / "docs/options.toml").read_text(), re.M)
    return {f"JOULEMARK_{name.upper()}" for name in listed}


class Compose(unittest.TestCase):
    def test_it_is_of_the_compose_specification(self):
        read = PyCompose.from_json(json.dumps(COMPOSE))
        self.assertEqual(set(read.service_names()), {"db", "node-1", "node-2", "prometheus", "grafana"})
        for wrong in ({"readonly": True}, {"depends_on": {"db": {"condition": "well"}}}, {"stop_grace_period": "soon"}):
            spoilt = {**COMPOSE, "services": {**SERVICES, "node-1": {**SERVICES["node-1"], **wrong}}}
            with self.assertRaises(ValueError, msg=wrong):
                PyCompose.from_json(json.dumps(spoilt))

    def test_every_image_is_pinned_and_the_nodes_is_of_this_version(self):
        version = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"]["version"]
        for name, service in SERVICES.items():
            self.assertRegex(service["image"], r"^[a-z/]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?$", name)
        self.assertEqual({node["image"] for node in NODES.values()}, {f"joulemark:{version}"})
        self.assertEqual(len(NODES), 2)

    def test_every_service_is_confined_watched_and_started_again(self):
        for name, service in SERVICES.items():
            self.assertIs(service["read_only"], True, name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertIn("no-new-privileges:true", service["security_opt"], name)
            self.assertEqual(service["restart"], "unless-stopped", name)
            self.assertEqual(service["healthcheck"]["test"][0], "CMD", name)
            self.assertNotIn("privileged", service, name)
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), f"{name} is published to everybody: {port}")

    def test_what_is_named_is_there(self):
        used = {"volumes": set(), "networks": set(), "secrets": set()}
        for name, service in SERVICES.items():
            for other, how in service.get("depends_on", {}).items():
                self.assertIn(other, SERVICES, name)
                self.assertEqual(how["condition"], "service_healthy", name)
            used["networks"] |= set(service["networks"])
            used["secrets"] |= set(service.get("secrets", []))
            for mount in service["volumes"]:
                if mount["type"] == "volume":
                    used["volumes"].add(mount["source"])
                elif mount["source"].startswith("./"):
                    self.assertTrue((FOLDER / mount["source"]).is_file(), f"{name} mounts {mount['source']}")
                    self.assertIs(mount["read_only"], True, f"{name} may write {mount['source']}")
                else:
                    self.assertIs(mount["bind"]["create_host_path"], False, f"{name}: {mount['source']}")
        for kind, names in used.items():
            self.assertEqual(names, set(COMPOSE[kind]), kind)
        for node in NODES.values():
            self.assertTrue((FOLDER / node["build"]["context"] / "Dockerfile").is_file())

    def test_every_option_is_one_of_serve(self):
        known = options()
        self.assertGreater(len(known), 50)
        for name, node in NODES.items():
            for option in node["environment"]:
                self.assertIn(option, known | {"PGPASSFILE"}, name)
            self.assertEqual(node["environment"]["JOULEMARK_NODE_NAME"], name)

    def test_the_build_argument_is_one_of_the_dockerfile(self):
        known = re.findall(r"^ARG (\w+)", (REPOSITORY / "Dockerfile").read_text(), re.M)
        for node in NODES.values():
            self.assertLessEqual(set(node["build"]["args"]), set(known))

    def test_secrets_are_files_of_the_script_and_never_in_an_environment(self):
        made = re.findall(r"^write ([a-z-]+) ", (FOLDER / "compose-secrets.sh").read_text(), re.M)
        self.assertEqual({secret["file"] for secret in COMPOSE["secrets"].values()}, {f"./compose/secrets/{name}" for name in made})
        for name, service in SERVICES.items():
            for variable, value in service.get("environment", {}).items():
                if re.search("PASS|SECRET|KEY|TOKEN", variable):
                    self.assertTrue(variable.endswith("FILE") and value.startswith("/run/secrets/"), f"{name}: {variable}")
                self.assertNotRegex(str(value), r"://[^/@]*:[^/@]*@", f"{name}: {variable} has a password")
                if str(value).startswith("/run/secrets/"):
                    self.assertIn(value.removeprefix("/run/secrets/"), service["secrets"], f"{name}: {variable}")

    def test_the_database_and_prometheus_are_out_of_reach_from_outside(self):
        for name in ("db", "prometheus"):
            self.assertNotIn("ports", SERVICES[name])
            for network in SERVICES[name]["networks"]:
                self.assertIs(COMPOSE["networks"][network]["internal"], True, f"{name}: {network}")

    def test_prometheus_scrapes_every_node_from_the_address_that_nodes_let_in(self):
        address = SERVICES["prometheus"]["networks"]["monitoring"]["ipv4_address"]
        subnet = COMPOSE["networks"]["monitoring"]["ipam"]["config"][0]["subnet"]
        self.assertTrue(address.startswith(subnet.removesuffix("0/24")), f"{address} is not in {subnet}")
        targets = next(job for job in document(PROMETHEUS)["scrape_configs"] if job["job_name"] == "joulemark")
        self.assertEqual(targets["static_configs"][0]["targets"], [f"{name}:8080" for name in NODES])
        for node in NODES.values():
            self.assertEqual(node["environment"]["JOULEMARK_METRICS_FROM"], address)

    def test_grafana_is_given_the_dashboard_and_a_data_source(self):
        mounted = {mount["target"] for mount in SERVICES["grafana"]["volumes"]}
        folder = document(FOLDER / "compose/grafana/dashboards.yaml")["providers"][0]["options"]["path"]
        self.assertIn(f"{folder}/joulemark.json", mounted)
        self.assertEqual(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"], f"{folder}/joulemark.json")
        source = document(FOLDER / "compose/grafana/datasources.yaml")["datasources"][0]
        self.assertEqual((source["type"], source["url"]), ("prometheus", "http://prometheus:9090"))

    @unittest.skipIf(os.geteuid(), "giving files to the images' users needs root")
    def test_the_script_makes_each_secret_once_for_its_reader_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            made = []
            for _ in range(2):
                subprocess.run([FOLDER / "compose-secrets.sh", folder], check=True, stdout=subprocess.DEVNULL)
                made.append({file.name: file.read_text() for file in pathlib.Path(folder).iterdir()})
            owners = {file.name: (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) for file in pathlib.Path(folder).iterdir()}
        self.assertEqual(made[0], made[1])
        password = made[0]["postgres-password"]
        self.assertRegex(password, r"^[0-9a-f]{48}$")
        self.assertNotEqual(password, made[0]["grafana-password"])
        self.assertEqual(made[0]["pgpass"], f"db:5432:joulemark:joulemark:{password}\n")
        user = re.search(r"--uid (\d+)", (REPOSITORY / "Dockerfile").read_text()).group(1)
        self.assertEqual(owners, {"postgres-password": (0, 0o400), "pgpass": (int(user), 0o400), "grafana-password": (472, 0o400)})


if __name__ == "__main__":
    unittest.main()
