# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of script/lab."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from lab import faults, fleet, lifecycle
from lab.errors import LabError
from lab.instance import Lab, command
from lab.places import lab_name, labs
from lab.progress import say, stage

EPILOG = "LAB=name chooses the lab, market-1 without it; several may be up at once."


def main(arguments: Sequence[str]) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(list(arguments) or ["--help"])
    try:
        return int(options.run(options) or 0)
    except LabError as failed:
        print(f"script/lab: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nscript/lab: interrupted; the next `script/lab up` goes on from here.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough of it; Python's own flush at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as failed:
        if failed.errno != errno.ENOSPC:
            raise
        print(
            f"script/lab: no space left ({failed.filename}): free some, or set MARKETPLACE_LAB_HOME to a folder on a "
            "larger disk.",
            file=sys.stderr,
        )
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="script/lab", description="A whole marketplace on this machine, to break and to repair.", epilog=EPILOG
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: object, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, epilog=EPILOG)
        sub.set_defaults(run=run)
        return sub

    add("up", _up, "start the lab, or finish what an interrupted start left")
    down = add("down", _down, "remove the lab; the content cache stays")
    down.add_argument("--all", action="store_true", help="remove every lab")
    down.add_argument("--cache", action="store_true", help="remove the content cache too")
    add("status", _status, "labs, their services and addresses")
    light = add("fleet", _fleet, "light hosts beside the lab, for runs on many hosts: up [N], down, status")
    light.add_argument("verb", choices=["up", "down", "status"])
    light.add_argument("count", nargs="?", type=int, default=fleet.USUAL, metavar="N", help=f"how many ({fleet.USUAL})")
    breaks = add("break", _break, "break something real, and say what a user now sees")
    breaks.add_argument("fault", nargs="?", metavar="FAULT", help="without it: the list of faults")
    add("heal", _heal, "bring a broken lab back without the collection")
    logs = add("logs", _logs, "last log lines of the services")
    logs.add_argument("service", nargs="?", metavar="SERVICE")
    logs.add_argument("--tail", default="50", metavar="LINES")
    ssh = add("ssh", _ssh, "a shell on the host, or one command there")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD")
    return parser


def _up(_: argparse.Namespace) -> None:
    name = lab_name()
    say(f"lab {name}")
    lab = lifecycle.up(name)
    site, address = lab.ports, lab.state["address"]
    prefix = "" if name == "market-1" else f"LAB={name} "
    say(f"{name} is up: {len(lab.expected_services())} services healthy")
    say(f"  site          https://{address}:{site['https']}/  (curl --cacert {lab.state['authority']})")
    say(f"  health        http://{address}:{site['health']}/api/health")
    say(f"  prometheus    http://{address}:{site['prometheus']}/alerts")
    say(f"  alertmanager  http://{address}:{site['alertmanager']}/")
    say("try next")
    say(f"  {command(name, 'break containers-exited')}")
    say(f"  {prefix}ansible-playbook -i inventories/lab playbooks/outage.yml")


def _down(options: argparse.Namespace) -> None:
    chosen = "LAB" in os.environ or not options.cache
    for name in lifecycle.running_labs() if options.all else [lab_name()] if chosen else []:
        lifecycle.down(name)
    if options.cache:
        lifecycle.down_cache()


def _status(_: argparse.Namespace) -> int:
    names = [lab_name()] if "LAB" in os.environ else lifecycle.running_labs()
    if not names:
        say("no lab is up: start one by `script/lab up`")
        return 0
    return max([_show(name) for name in names])


def _show(name: str) -> int:
    if not (labs() / name / "state.json").exists():
        what = "not complete" if (labs() / name).exists() else "not up"
        say(f"{name}  {what}: start it by `{command(name, 'up')}`")
        return 1
    lab = Lab.named(name)
    status, _ = lab.get("health", "/api/health")
    host = lab.host.state() or "missing"
    if host != "running":
        say(f"{name}  NOT HEALTHY  its host is {host}: `{command(name, 'up')}` brings it back")
        return 1
    services = lab.services()
    sick = [service for service in services if not service.well]
    missing = sorted(set(lab.expected_services()) - {service.name for service in services})
    well = status == 200 and not sick and not missing
    say(f"{name}  {'healthy' if well else 'NOT HEALTHY'}  health endpoint {status or 'silent'}")
    say("  ports     " + "  ".join(f"{port} {number}" for port, number in lab.ports.items()))
    say(f"  services  {len(services) - len(sick)} of {len(lab.expected_services())} healthy")
    for service in sick:
        say(f"            {service.name}: {service.state}, {service.health}")
    for name_of_missing in missing:
        say(f"            {name_of_missing}: no container")
    return 0 if well else 1


def _fleet(options: argparse.Namespace) -> int:
    lab = lab_name()
    if options.verb == "down":
        if not fleet.down(lab):
            say(f"{lab} has no light hosts")
        return 0
    if options.verb == "up":
        if not 1 <= options.count <= fleet.MOST:
            raise LabError(f"{options.count} light hosts are not possible: between 1 and {fleet.MOST}.")
        hosts = fleet.up(lab, options.count)
        say(f"{len(hosts)} light hosts of {lab} are up: {hosts[0].name} to {hosts[-1].name}")
        say("try next")
        say(f"  LAB='{lab},{fleet.prefix(lab)}*' ansible-playbook -i inventories/lab playbooks/outage.yml")
        return 0
    found = fleet.status(lab)
    for name, words in found.items():
        say(f"{name}  {words}")
    well = sum(words == fleet.HEALTHY for words in found.values())
    say(f"{well} of {len(found)} light hosts of {lab} healthy" if found else f"{lab} has no light hosts")
    return 0 if well == len(found) else 1


def _break(options: argparse.Namespace) -> None:
    if options.fault not in faults.names():
        if options.fault:
            say(f"there is no fault {options.fault!r}; the faults are")
        for fault in faults.names():
            say(f"  {fault:<20}{faults.summary(fault)}")
        if options.fault:
            raise LabError(f"{options.fault!r} is not a fault: choose one of the list.")
        return
    lab = _full_lab()
    with stage(f"break {lab.name}: {options.fault}"):
        faults.break_lab(lab, options.fault)
    say(f"  {faults.summary(options.fault)}")


def _full_lab() -> Lab:
    """The lab the caller means; faults and their healing know the whole marketplace, of which a light host has little."""
    lab = Lab.named()
    owner = lab.state.get("fleet")
    if owner:
        anew = f"`{command(owner, 'fleet down')}` and `{command(owner, 'fleet up')}` make it anew"
        raise LabError(f"{lab.name} is a light host: break it by hand, `{command(lab.name, 'ssh')}`; {anew}.")
    return lab


def _heal(_: argparse.Namespace) -> None:
    lab = _full_lab()
    with stage(f"heal {lab.name}"):
        faults.heal(lab)


def _logs(options: argparse.Namespace) -> int:
    lab = Lab.named()
    wanted = [options.service] if options.service else []
    if wanted and wanted[0] not in lab.expected_services():
        raise LabError(f"There is no service {wanted[0]!r}; there are {', '.join(lab.expected_services())}.")
    shown = lab.compose(["logs", "--no-color", "--tail", options.tail, *wanted])
    sys.stdout.write(shown.stdout)
    sys.stderr.write(shown.stderr)
    return shown.returncode


def _ssh(options: argparse.Namespace) -> None:
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    argv = [*Lab.named().ssh_command(), *words]
    sys.stdout.flush()
    os.execvp(argv[0], argv)  # noqa: S606 - the caller's terminal, signals and exit status belong to ssh
