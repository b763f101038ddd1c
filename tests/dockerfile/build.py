#!/usr/bin/env python3
"""Builds what the Dockerfile describes, and runs it, without a Docker engine: each stage is a chroot made by debootstrap,
in which the file's own RUN and COPY lines are carried out; at last the image's command is started as its user with its
environment, in a network of its own, and must come through its health check. Needs root, debootstrap and a Rust
toolchain by rustup. Takes about a quarter of an hour on two cores, nearly all of it the build of mistral.rs.

The base images are stood in for: debian:RELEASE by a minimal debootstrap of RELEASE, rust:VERSION-RELEASE by that and
this host's toolchain. Crates come from this host's registry, packages from its package sources.
"""

import argparse
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time

import parse

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
# Of the images that are stood in for.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--work", default="/var/tmp/joulemark-dockerfile", help="folder for the chroots; kept, so that a "
                         "second run goes on where the first one ended [%(default)s]")
    options.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    options.add_argument("--cargo-under", default="", metavar="COMMAND", help="command before each RUN that builds")
    options.add_argument("--only-base", action="store_true", help="stop before the first RUN that builds")
    chosen = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("debootstrap and chroot need root")
    arguments = dict(item.split("=", 1) for item in chosen.build_arg)
    text = (REPOSITORY / "Dockerfile").read_text()
    build = Build(pathlib.Path(chosen.work), text, arguments, chosen)
    final = build.all()
    if final:
        print(f"the image is {final.root}", flush=True)
        subprocess.run([sys.executable, HERE / "run.py", final.root, *final.described()], check=True)


class Image:
    """A stage's folder, and what its instructions have set."""

    def __init__(self, root):
        self.root, self.environment, self.folder, self.user = root, {"PATH": PATH}, "/", "root"
        self.entrypoint, self.command, self.health, self.done = [], [], [], []

    def described(self):
        """For run.py: user, working folder, environment, and the two commands."""
        environment = [f"{name}={value}" for name, value in self.environment.items()]
        started = shlex.join(self.entrypoint + self.command)
        return [self.user, self.folder, shlex.join(environment), shlex.join(self.entrypoint), started, shlex.join(self.health)]


class Build:
    def __init__(self, work, text, arguments, chosen):
        self.work, self.arguments, self.chosen = work, arguments, chosen
        self.stages = parse.stages(text, arguments)
        self.context = parse.Context(REPOSITORY)
        self.images = {}
        work.mkdir(parents=True, exist_ok=True)

    def all(self):
        for stage in self.stages:
            image = self.images[stage.name] = self.base(stage)
            if not self.stage(stage, image):
                return None
        return image

    def base(self, stage):
        root = self.work / f"stage-{stage.name}"
        image = Image(root)
        release = re.search(r"(bookworm|trixie|bullseye)", stage.image)
        if stage.image in self.images:
            sys.exit(f"FROM a stage ({stage.image}) is not known to this script")
        if not release:
            sys.exit(f"FROM {stage.image}: only images of a Debian release can be stood in for")
        if not (root / "etc").exists():
            say(f"FROM {stage.image}")
            debootstrap(release[1], self.work / f"base-{release[1]}")
            run(["cp", "-a", self.work / f"base-{release[1]}", root])
            if stage.image.startswith("rust:"):
                add_toolchain(root)
        return image

    def stage(self, stage, image):
        variables = dict(image.environment)
        record = self.work / f"stage-{stage.name}.done"
        earlier = record.read_text().splitlines() if record.exists() else []
        for number, instruction in enumerate(stage.instructions):
            name, rest = instruction.name, instruction.rest
            if name == "ARG":
                argument, default = parse.argument(rest)
                variables[argument] = self.arguments.get(argument, default)
            elif name == "ENV":
                image.environment |= parse.pairs(rest, variables | image.environment)
                variables |= image.environment
            elif name == "WORKDIR":
                image.folder = rest
                inside(image, rest).mkdir(parents=True, exist_ok=True)
            elif name == "USER":
                image.user = rest
            elif name == "VOLUME":
                if not inside(image, rest).is_dir():
                    sys.exit(f"Dockerfile:{instruction.line}: {rest} is not there")
            elif name == "ENTRYPOINT":
                image.entrypoint = parse.words(rest)
            elif name == "CMD":
                image.command = parse.words(rest)
            elif name == "HEALTHCHECK":
                image.health = parse.health_command(rest)
            elif name in ("RUN", "COPY"):
                builds = name == "RUN" and "cargo " in rest
                if builds and self.chosen.only_base:
                    return False
                digest = self.digest(instruction, variables)
                if number < len(earlier) and earlier[number] == digest:
                    say(f"Dockerfile:{instruction.line}: {name}, done before")
                else:
                    # What follows a changed instruction is carried out again, over what is there.
                    earlier = earlier[:number]
                    say(f"Dockerfile:{instruction.line}: {name} {rest}")
                    begun = time.monotonic()
                    if name == "RUN":
                        self.run(image, rest, variables, builds)
                    else:
                        self.copy(image, rest, variables)
                    say(f"  {time.monotonic() - begun:.1f} s")
                image.done.append(digest)
                record.write_text("\n".join(image.done) + "\n")
                continue
            image.done.append("")
        return True

    def digest(self, instruction, variables):
        """Of the instruction, and of the files that it copies."""
        digest = hashlib.sha256(f"{instruction.name} {instruction.rest}".encode())
        if instruction.name == "COPY":
            stage, sources, _ = parse.copy(instruction.rest, variables)
            for name, _ in [] if stage else [file for source in sources for file in self.context.files(source)]:
                digest.update(str(name).encode() + (REPOSITORY / name).read_bytes())
            digest.update("\n".join(self.images[stage].done if stage else []).encode())
        return digest.hexdigest()

    def run(self, image, script, variables, builds):
        environment = [f"{name}={value}" for name, value in variables.items()]
        before = shlex.split(self.chosen.cargo_under) if builds else []
        home = inside(image, variables.get("CARGO_HOME", "/none"))
        registry = [f"{cargo_home() / 'registry'}:{home / 'registry'}"] if builds else []
        if builds:
            environment.append("CARGO_NET_OFFLINE=true")
        chrooted = ["chroot", image.root, "env", "-i", f"--chdir={image.folder}", *environment, "/bin/sh", "-c", script]
        run([*before, *isolated(image.root, registry), *chrooted])

    def copy(self, image, rest, variables):
        stage, sources, destination = parse.copy(rest, variables)
        to = inside(image, destination)
        if not stage:
            # A path loses the slash by which it is a folder's.
            self.context.copy(sources, f"{to}/" if destination.endswith("/") else str(to))
            return
        for source in sources:
            found = self.images[stage].root / source.lstrip("/")
            is_folder = found.is_dir() or destination.endswith("/")
            (to if is_folder else to.parent).mkdir(parents=True, exist_ok=True)
            run(["cp", "-a", "--no-preserve=ownership", f"{found}/." if found.is_dir() else found, to])


def say(text):
    print(text, flush=True)


def run(command):
    command = [str(part) for part in command]
    if subprocess.run(command).returncode != 0:
        sys.exit(f"failed: {shlex.join(command)}")


def inside(image, path):
    path = pathlib.PurePosixPath(image.folder) / path
    return image.root / str(path).lstrip("/")


def cargo_home():
    return pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))


def isolated(root, binds):
    """A mount and pid namespace of its own, so that nothing stays mounted and nothing keeps running."""
    mounts = [f"mount --bind /dev {shlex.quote(str(root / 'dev'))}"]
    for bind in binds:
        source, target = bind.split(":")
        mounts.append(f"mkdir -p {shlex.quote(target)} && mount --bind {shlex.quote(source)} {shlex.quote(target)}")
    script = " && ".join([*mounts, 'exec "$@"'])
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={root / 'proc'}", "sh", "-c", script, "sh"]


def debootstrap(release, root):
    if (root / "etc/apt/from-this-host").exists():
        return
    # The mirror that this host has its own packages from.
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Label: Debian"]
    mirrors = subprocess.run(asked, check=True, text=True, stdout=subprocess.PIPE).stdout.split()
    if not mirrors:
        sys.exit("this host has no Debian mirror: run apt-get update")
    shutil.rmtree(root, ignore_errors=True)
    run(["debootstrap", "--variant=minbase", "--include=ca-certificates", release, root, mirrors[0]])
    sources = pathlib.Path("/etc/apt")
    # The host's own way to its packages, where that is more than a line of sources.
    for name in ("apt.conf.d", "auth.conf.d"):
        if (sources / name).is_dir():
            for file in (sources / name).iterdir():
                if "proxy" in file.read_text(errors="replace").lower() or "artifact" in file.name:
                    shutil.copy2(file, root / "etc/apt" / name)
    shutil.copy2("/etc/resolv.conf", root / "etc/resolv.conf")
    (root / "etc/apt/from-this-host").touch()


def add_toolchain(root):
    rustup = pathlib.Path(os.environ.get("RUSTUP_HOME", pathlib.Path.home() / ".rustup"))
    for source, target in [(rustup, "usr/local/rustup"), (cargo_home() / "bin", "usr/local/cargo/bin")]:
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        run(["cp", "-a", source, root / target])


if __name__ == "__main__":
    main()
