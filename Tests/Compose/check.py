#!/usr/bin/python3
"""Holds compose/ and the systemd unit to the rest of the project, where neither runs: the schema of compose files, names, ports,
folders and tokens, what the executables link, and the series that alerts and dashboard ask for.

Usage: check.py [--compose FOLDER] [--bin FOLDER] [--series FILE]

FOLDER of --compose is the project's compose/ unless another one is named; --bin holds built executables, --series what
/metrics of a running node answers. Prints what holds and what does not; exit status 0 only if everything does.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What every Debian image has, or brings along with what is named.
BASE = {"libc6", "libgcc-s1", "libstdc++6", "zlib1g"}
problems = []


def check(what, holds, detail=""):
    print(f"{'ok' if holds else 'WRONG'} {what}{f': {detail}' if detail and not holds else ''}")
    if not holds:
        problems.append(what)


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def products():
    return set(re.findall(r'\.executable\(name: "([a-z-]+)"', read(f"{ROOT}/Package.swift")))


def packages(name):
    text = re.search(rf"^{name}=\((.*?)\)", read(f"{ROOT}/compose/packages.sh"), re.S | re.M).group(1)
    return set(text.split())


# The compose file

def check_compose(folder):
    path = f"{folder}/docker-compose.yml"
    judged = output("docker-compose", "--file", path, "config")
    check("docker-compose.yml keeps the schema", judged.returncode == 0, judged.stderr.strip())
    if judged.returncode:
        return
    services = yaml.safe_load(judged.stdout)["services"]
    configuration = yaml.safe_load(read(f"{folder}/framekeeper.yml"))
    check_processes(services, configuration)
    check_places(services, configuration)
    check_broker(services, configuration, folder)
    check_camera(services, configuration, folder)
    check_safety(services, folder)
    check_grafana(services, folder)
    scrape = yaml.safe_load(read(f"{folder}/prometheus/prometheus.yml"))["scrape_configs"][0]
    port = configuration["metrics"]["listen"].split(":")[1]
    check("Prometheus asks the metrics service", scrape["static_configs"][0]["targets"] == [f"metrics:{port}"])
    check("with its token", scrape["authorization"]["credentials"] == configuration["metrics"]["token"])


def check_processes(services, configuration):
    node = configuration["node"]
    run = {name: entry for name, entry in services.items() if entry.get("image") == "framekeeper"}
    wanted = {(name,) for name in products() - {"framekeeper", "capture-worker"}}
    wanted |= {("capture-worker", "--camera", camera) for camera in configuration["cameras"]}
    found = {tuple(entry["command"]) for entry in run.values()}
    check("every process of the node runs once", wanted == found and len(run) == len(found), str(wanted ^ found))
    for name, entry in run.items():
        instance = entry["command"][2] if len(entry["command"]) > 2 else node
        expected = f"{entry['command'][0]}/{instance}"
        check(f"{name}: its healthcheck asks for itself", entry["healthcheck"]["test"][-1] == expected)
        check(f"{name}: its folders are volumes", set(mounts(entry)) >= {
            configuration["state_dir"], configuration["storage"]["path"], "/etc/framekeeper/framekeeper.yml"})


def mounts(entry):
    """Where a container finds what of this machine: a path here, or the name of a volume."""
    pairs = [volume.split(":")[:2] if isinstance(volume, str) else (volume["source"], volume["target"])
             for volume in entry.get("volumes", [])]
    return {target: source for source, target in pairs}


def ports(entry):
    """Those inside the container that are open to this machine."""
    return {int(re.split("[:/]", port)[-2 if "/" in port else -1]) if isinstance(port, str) else int(port["target"])
            for port in entry.get("ports", [])}


def address(url):
    """Host, port and path."""
    host, port, path = re.fullmatch(r"[a-z]+://([a-z-]+)(?::(\d+))?(/.*)?", url).groups()
    return host, int(port or 0), path or ""


def check_broker(services, configuration, folder):
    host, port, _ = address(configuration["broker"]["url"])
    settings = dict(line.split(maxsplit=1) for line in read(f"{folder}/mosquitto.conf").splitlines()
                    if line and not line.startswith("#"))
    broker = mounts(services[host])
    check("the broker listens where it is asked", int(settings["listener"]) == port and port in ports(services[host]),
          f"{settings['listener']}, {port}, {ports(services[host])}")
    check("and reads its configuration", broker.get("/mosquitto/config/mosquitto.conf") == f"{folder}/mosquitto.conf",
          str(broker))
    check("what it keeps is a volume", settings["persistence_location"].rstrip("/") in broker, str(broker))


def check_camera(services, configuration, folder):
    host, port, path = address(configuration["cameras"]["door"]["source"])
    command = services[host].get("command")
    if not command:
        text = re.search(r"^CMD (\[.*\])", stage(read(f"{folder}/Dockerfile"), services[host]["build"]["target"]), re.M)
        command = json.loads(text.group(1))
    named = dict(zip(command, command[1:]))
    served = re.search(r'add_factory\("([^"]+)"', read(f"{folder}/rtsp-camera.py")).group(1)
    check("the camera serves what is asked of it", (int(named.get("--port", 0)), served) == (port, path),
          f"{command}, {served}")
    check("not to itself alone", named.get("--listen") == "0.0.0.0", str(command))


def check_grafana(services, folder):
    places = mounts(services["grafana"])
    check("Grafana is provisioned", places.get("/etc/grafana/provisioning") == f"{folder}/grafana/provisioning",
          str(places))
    source = yaml.safe_load(read(f"{folder}/grafana/provisioning/datasources/prometheus.yml"))["datasources"][0]
    host, port, _ = address(source["url"])
    check("its source is Prometheus", source["type"] == "prometheus" and port in ports(services.get(host, {})),
          source["url"])
    board = json.loads(read(f"{folder}/grafana/dashboards/framekeeper.json"))
    asked = {item["datasource"]["uid"] for item in board["panels"] + board["templating"]["list"]}
    check("which the dashboard asks", asked == {source["uid"]}, f"{asked}, {source['uid']}")
    provider = yaml.safe_load(read(f"{folder}/grafana/provisioning/dashboards/framekeeper.yml"))["providers"][0]
    path = provider["options"]["path"]
    check("the dashboard is where it is looked for", places.get(path) == f"{folder}/grafana/dashboards",
          f"{path}, {places}")
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    check("and comes first", os.path.dirname(home) == path
          and os.path.exists(f"{folder}/grafana/dashboards/{os.path.basename(home)}"), home)


def check_places(services, configuration):
    server = configuration["mediamtx"]
    for what, url in (("broker", configuration["broker"]["url"]), ("the API", server["api"]), ("RTSP", server["rtsp"]),
                      ("the hooks", server["hook_url"]), ("a camera", configuration["cameras"]["door"]["source"])):
        host = re.match(r"[a-z]+://([a-z-]+)", url).group(1)
        check(f"{what} is a service of this file ({host})", host in services)
    media = yaml.safe_load(read(f"{options.compose}/mediamtx.yml"))
    check("MediaMTX listens where it is asked", server["api"].endswith(media["apiAddress"])
          and server["rtsp"].endswith(media["rtspAddress"]))
    users = {user["user"]: user.get("pass") for user in media["authInternalUsers"]}
    check("and knows the user", users.get(server["username"]) == server["password"])
    check("hooks come to where they are heard", server["hook_url"].split(":")[-1] == server["hook_listen"].split(":")[1])
    published = [str(port) for entry in services.values() for port in entry.get("ports", [])]
    check("ports are open to this machine alone", published and all("127.0.0.1" in port for port in published),
          str(published))
    port = configuration["metrics"]["listen"].split(":")[1]
    check("the dashboard's port is open", any(port in entry for entry in map(str, services["metrics"]["ports"])))


def check_safety(services, folder):
    dockerfile = read(f"{folder}/Dockerfile")
    for name, entry in services.items():
        target = entry.get("build", {}).get("target")
        own = stage(dockerfile, target) if target else ""
        check(f"{name}: somebody looks after its health", "healthcheck" in entry or "HEALTHCHECK" in own)
        if entry.get("image") == "framekeeper":
            check(f"{name}: ends in order", entry["stop_signal"] == "SIGTERM" and seconds(entry["stop_grace_period"]) >= 15)
            check(f"{name}: may do nothing else", entry["read_only"] and entry["cap_drop"] == ["ALL"])


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text).group(1))


# The Dockerfile

def stage(dockerfile, name):
    return re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", dockerfile, re.S | re.M).group(1)


def installed(text):
    listed = re.search(r"apt-get install .*?--no-install-recommends((?:[^&])*)&&", text, re.S).group(1)
    return set(listed.replace("\\", " ").split())


def check_dockerfile(folder, binaries):
    dockerfile = read(f"{folder}/Dockerfile")
    build, runtime, camera = (stage(dockerfile, name) for name in ("build", "framekeeper", "camera"))
    check("the build installs what packages.sh does", installed(build) == packages("build_packages"),
          str(installed(build) ^ packages("build_packages")))
    check("the camera has what packages.sh does", installed(camera) == packages("camera_packages"))
    built = set(re.search(r"for name in ([a-z -]+);", build).group(1).split())
    check("every executable is built", built == products(), str(built ^ products()))
    user = re.search(r"^USER (\S+)", runtime, re.M)
    check("nobody is root", user is not None and user.group(1) not in ("root", "0"))
    check("the stop signal is the one that is understood", "STOPSIGNAL SIGTERM" in runtime)
    check("no symbols, no compiler", "install -s" in build and "swift" not in runtime.replace("--static-swift", ""))
    if not binaries:
        return
    linked = set()
    for name in sorted(products()):
        linked |= linked_packages(f"{binaries}/{name}")
    named = {name for name in installed(runtime) if name.startswith("lib")}
    # FoundationNetworking is built on it; a debug build loads it through Swift's own libraries.
    linked.add("libcurl4")
    check("what the executables link is installed", linked <= named, str(linked - named))
    check("and nothing else", named <= linked, str(named - linked))


def check_unit(binaries):
    unit = read(f"{ROOT}/config/framekeeper.service")
    installed_line = re.search(r"^sudo install -s \S+/\{([a-z,-]+)\} (\S+)/$", read(f"{ROOT}/README.md"), re.M)
    check("the README installs every executable",
          installed_line is not None and set(installed_line.group(1).split(",")) == products())
    started = re.search(r"^ExecStart=(\S+)/framekeeper up$", unit, re.M)
    check("the unit starts what the README installs",
          started is not None and installed_line is not None and started.group(1) == installed_line.group(2))
    if not binaries or not shutil.which("systemd-analyze"):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/framekeeper.service"
        with open(path, "w", encoding="utf-8") as file:
            file.write(unit.replace("/usr/local/bin", os.path.abspath(binaries)))
        # What systemd does not know it ignores, with a line and status 0.
        judged = output("systemd-analyze", "verify", path)
        check("systemd takes the unit", judged.returncode == 0 and not judged.stderr, judged.stderr)


def linked_packages(path):
    """Packages of what an executable itself asks for; what those ask for comes with them."""
    needed = set(re.findall(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]", output("readelf", "-d", path).stdout))
    places = dict(re.findall(r"^\s+(\S+) => (/\S+)", output("ldd", path).stdout, re.M))
    found = set()
    for library in needed:
        place = places.get(library)
        owner = output("dpkg-query", "--search", os.path.realpath(place)).stdout if place else ""
        # Swift's own runtime is no package; a release holds it.
        if owner:
            found.add(owner.split(":")[0])
    check(f"{os.path.basename(path)} links something", bool(needed), path)
    return found - BASE


# Series

def check_series(folder, path):
    check_rules = output("promtool", "check", "config", f"{folder}/prometheus/prometheus.yml")
    check("promtool takes configuration and alerts", check_rules.returncode == 0, check_rules.stdout + check_rules.stderr)
    told = output("promtool", "test", "rules", f"{ROOT}/Tests/Compose/alerts.yml")
    check("the alerts say what they should of made-up series", told.returncode == 0, told.stdout + told.stderr)
    board = json.loads(read(f"{folder}/grafana/dashboards/framekeeper.json"))
    places = [panel["gridPos"] for panel in board["panels"]]
    check("no two panels of the dashboard overlap", not any(
        overlap(one, other) for place, one in enumerate(places) for other in places[place + 1:]))
    check("panels have numbers of their own", len({panel["id"] for panel in board["panels"]}) == len(places))
    asked = set()
    for variable in board["templating"]["list"]:
        asked |= names(json.dumps(variable["query"]))
    queries = [target["expr"].replace("$camera", "x") for panel in board["panels"] for target in panel["targets"]]
    for query in queries:
        asked |= names(query)
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as rules:
        # A rule per query, since that is what promtool reads without a server.
        recorded = [{"record": f"query:{place}", "expr": query} for place, query in enumerate(queries)]
        yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}, rules)
        rules.flush()
        judged = output("promtool", "check", "rules", rules.name)
    check("every query of the dashboard can be read", judged.returncode == 0, judged.stdout + judged.stderr)
    for group in yaml.safe_load(read(f"{folder}/prometheus/alerts.yml"))["groups"]:
        for rule in group["rules"]:
            asked |= names(rule["expr"])
    if not path:
        return
    told = set(re.findall(r"^# TYPE (\w+) (\w+)$", read(path), re.M))
    known = {name for name, _ in told}
    known |= {name + end for name, kind in told if kind == "histogram" for end in ("_bucket", "_sum", "_count")}
    check("every series that is asked for exists", asked <= known, str(sorted(asked - known)))


def names(expression):
    return set(re.findall(r"\bframekeeper_\w+", expression))


def overlap(one, other):
    return (one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
            and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"])


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--compose", default=f"{ROOT}/compose")
parser.add_argument("--bin")
parser.add_argument("--series")
options = parser.parse_args()
options.compose = os.path.abspath(options.compose)
check_compose(options.compose)
if options.bin:
    taken = output(f"{options.bin}/framekeeper", "config", "check", f"{options.compose}/framekeeper.yml")
    check("framekeeper takes its configuration", taken.returncode == 0, taken.stdout + taken.stderr)
check_dockerfile(options.compose, options.bin)
check_unit(options.bin)
check_series(options.compose, options.series)
print(f"{len(problems)} problems")
sys.exit(1 if problems else 0)
