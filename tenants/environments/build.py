"""Runs inside the sandbox: makes the virtual environment and lets pip fill it. pip comes from the wheel that venv carries,
so that it is not installed into the environment first."""

import glob
import os
import subprocess
import sys
import venv

environment, given = sys.argv[1:3]
venv.EnvBuilder(symlinks=True, with_pip=False, clear=False).create(environment)
python = os.path.join(environment, "bin", "python")

import ensurepip

places = [os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"), "/usr/share/python-wheels"]
wheels = sorted(w for place in places for w in glob.glob(os.path.join(place, "pip-*.whl")))
if wheels:
    pip = [python, os.path.join(wheels[-1], "pip")]
else:
    subprocess.check_call([python, "-m", "ensurepip", "--default-pip"])
    pip = [python, "-m", "pip"]

project = os.path.join(given, "pyproject.toml")
if os.path.exists(project):
    try:
        import tomllib
    except ImportError:
        sys.path.insert(0, wheels[-1])
        from pip._vendor import tomli as tomllib
    with open(project, "rb") as file:
        wanted = tomllib.load(file)["project"]["dependencies"]
    requirements = os.path.join(os.environ["TMPDIR"], "requirements.txt")
    with open(requirements, "w") as file:
        file.write("\n".join(wanted) + "\n")
else:
    requirements = os.path.join(given, "requirements.txt")

install = [*pip, "install", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off"]
install.append("--no-warn-script-location")
constraints = os.path.join(given, "constraints.txt")
if os.path.exists(constraints):
    install += ["-c", constraints]
platform = os.path.join(given, "platform.txt")
runs = [["-r", requirements]]
if os.path.exists(platform):
    # With hashes pip wants one for everything: the platform's own packages then come in a run of their own.
    if "--hash=" in open(requirements).read():
        runs.append(["-r", platform])
    else:
        runs[0] += ["-r", platform]
for run in runs:
    status = subprocess.call(install + run)
    if status:
        sys.exit(status)
sys.exit(subprocess.call([python, "-I", "-c", "import jinja2, msgpack, pendulum, dateutil"]))
