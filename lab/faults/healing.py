# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back from every fault, by plain commands: what the collection does is judged against it, so it uses none of it."""

from __future__ import annotations

from lab import escrow
from lab.errors import LabError
from lab.faults.outside import site_status
from lab.instance import HEALTHY_SECONDS, Lab
from lab.places import COMPOSE_DIR, KEPT_DIR
from lab.shell import wait_until
from lab.stack import project
from lab.stack.project import SERVICE_UID

# No log of a healthy lab is this large: it can only be a fault's.
LARGEST_LOG = "48M"

FREEZE = "marketplace-payout-freeze.service"
THAW = f"""
systemctl disable --quiet --now {FREEZE}
rm -rf /etc/systemd/system/{FREEZE} /etc/systemd/system/nftables.service.d/marketplace-payout-freeze.conf /var/lib/marketplace_incident/freezes
for family in bridge inet; do nft delete table $family marketplace_freeze 2>/dev/null; done
systemctl daemon-reload
"""
# One that is just being restarted refuses for a moment.
POLICIES = """
for one in $(docker ps --all --quiet --filter label=com.docker.compose.project=marketplace); do
  [ "$(docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' $one)" != no ] || docker update --restart unless-stopped $one || exit 1
done
"""

# Root's while a restored database is compared with them.
UNGUARD = f"""
chown --recursive {SERVICE_UID}:{SERVICE_UID} /data/wallets/buyer /data/wallets/vendor /data/wallets/arbiter
chmod 755 /data/wallets/buyer /data/wallets/vendor /data/wallets/arbiter
find /data/wallets -name '*.keys' -exec chmod 600 {{}} +
rm -f /var/lib/marketplace_incident/wallet_keys_guard.json
"""

# What a restore notes until the shop is open again; the database itself is put back by what broke it.
NOTES = "/var/lib/marketplace_incident/database_unsettled-*.json /var/lib/marketplace_incident/database_restore-*.json"

# One look at what only the host can tell; each line that it prints is something to mend.
LOOK = f"""
systemctl --quiet is-active docker.service || echo daemon
[ -z "$(find /var/lib/docker/containers -name '*-json.log' -size +{LARGEST_LOG} 2>/dev/null)" ] || echo logs
[ ! -e /etc/systemd/system/{FREEZE} ] && ! nft list table bridge marketplace_freeze >/dev/null 2>&1 || echo freeze
[ -z "$(find /data/wallets -mindepth 1 -maxdepth 2 -user root ! -path '*/.*')" ] || echo guard
[ -z "$(ls {NOTES} 2>/dev/null)" ] || echo notes
! ps -eo stat= | grep -q '^T' || echo stopped
diff --recursive --brief {KEPT_DIR} {COMPOSE_DIR} | grep --quiet --invert-match '^Only in {COMPOSE_DIR}' && echo settings
[ -z "$(git -C {COMPOSE_DIR} status --porcelain)" ] || echo worktree
"""


def heal(lab: Lab) -> None:
    """Everything healthy again and nothing of a fault left, whichever it was."""
    found = lab.run(["sh", "-c", LOOK], check=True).stdout.split()
    # Space first: with a full disk a starting daemon leaves half of its containers behind.
    if "logs" in found:
        _empty_large_logs(lab)
    if "daemon" in found:
        lab.run(["systemctl", "reset-failed", "docker.socket", "docker.service"])
        lab.run(["systemctl", "start", "docker.socket", "docker.service"], check=True)
    if "stopped" in found:
        lab.run(["sh", "-c", "kill -CONT $(ps -eo pid=,stat= | awk '$2 ~ /^T/ {print $1}')"])
    if "freeze" in found:
        lab.run(["sh", "-c", THAW], check=True)
        if not wait_until(lambda: lab.run(["sh", "-c", POLICIES]).returncode == 0, 30, every=0.5):
            raise LabError(f"Docker on {lab.name} does not take restart policies: `script/lab down` and up makes it anew.")
    if "guard" in found:
        lab.run(["sh", "-e", "-c", UNGUARD], check=True)
    if "notes" in found:
        lab.run(["sh", "-c", f"rm -f {NOTES}"], check=True)
    if "settings" in found:
        copy = f"tar -C {KEPT_DIR} -c {' '.join(project.UNTRACKED)} | tar -C {COMPOSE_DIR} -xp"
        lab.run(["sh", "-c", copy], check=True)
    if "worktree" in found:
        lab.run(["git", "-C", COMPOSE_DIR, "checkout", "--quiet", "--", "."], check=True)
        lab.run(["git", "-C", COMPOSE_DIR, "clean", "--quiet", "-fd"], check=True)
    _unpause(lab)
    _build_missing_server(lab)
    if found or not (lab.all_healthy() and lab.serves() and site_status(lab) == 200):
        _start(lab)
    # The server opens its wallets once, at its own start; what was closed or restarted since then, nobody opens.
    escrow.open_home(lab)
    if not wait_until(lambda: escrow.follows_the_chain(lab), 60, every=1):
        raise LabError(f"The wallets of {lab.name} do not reach their daemon: see `script/lab logs monerod`.")


def _empty_large_logs(lab: Lab) -> None:
    lab.run(
        ["find", "/var/lib/docker/containers", "-name", "*-json.log", "-size", f"+{LARGEST_LOG}",
         "-exec", "truncate", "--size=0", "{}", "+"], check=True,
    )  # fmt: skip
    # The blocks go back to the machine too, not only to the lab's file system.
    lab.run(["fstrim", "/var/lib/docker"])


def _unpause(lab: Lab) -> None:
    paused = lab.docker(["ps", "--quiet", "--filter", "status=paused"]).stdout.split()
    if paused:
        lab.docker(["unpause", *paused], check=True)


def _build_missing_server(lab: Lab) -> None:
    if lab.docker(["image", "inspect", "--format", "ok", project.SERVER_IMAGE]).returncode == 0:
        return
    lab.docker(
        ["build", "--quiet", "--tag", project.SERVER_IMAGE, "--build-arg", f"RELEASE={project.SERVER_RELEASE}",
         "--build-arg", f"COMMIT={project.server_commit()}", f"{COMPOSE_DIR}/server"], check=True,
    )  # fmt: skip


def _up(lab: Lab) -> bool:
    started = lab.compose(["up", "--detach", "--no-build"])
    if "port is already allocated" in started.stderr:
        # The daemon keeps ports for a container that is gone; it forgets them only with its own end.
        lab.run(["systemctl", "restart", "docker.service"], check=True)
    return started.returncode == 0


def _start(lab: Lab) -> None:
    # What runs and is sick would be waited for in vain: only a restart cures a leak or ends a back-off.
    sick = [service for service in lab.services() if service.health == "unhealthy" or service.state == "restarting"]
    for service in sick:
        lab.docker(["restart", "--time", "5", lab.container(service.name) or service.name])
    if not wait_until(lambda: _up(lab), 60, every=1):
        raise LabError(f"`docker compose up -d` on {lab.name} goes on failing: see `script/lab logs`.")
    if not lab.wait_until_healthy():
        raise LabError(f"{lab.name} did not become healthy within {HEALTHY_SECONDS} s: see `script/lab status`.")
    # nginx asks for the server's address once, at its start; a new container may have another.
    if site_status(lab) != 200:
        lab.docker(["kill", "--signal", "HUP", lab.container("nginx") or "nginx"], check=True)
    if not wait_until(lambda: site_status(lab) == 200, 20):
        raise LabError(f"{lab.name} is healthy inside, but nginx does not reach the server: `script/lab logs nginx`.")
