# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a step failed, or a host could not be read at all, as one sentence instead of what ssh, sudo or Python said.

This module is private to the collection.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._plain_text import printable
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import _text

TRIED = re.compile(r"connect to host (\S+) port \d+")

# (what the reply contains, what that means, what to do next); the first that fits.
MEANINGS = (
    (("missing sudo password", "sudo: a password is required", "incorrect sudo password", "incorrect become password"),
     "On {host} sudo wants a password that was not given", "run again with --ask-become-pass (-K), or allow sudo without a password there"),
    (("is not in the sudoers file", "is not allowed to execute"),
     "The user of this connection may not use sudo on {host}", "name another ansible_user in the inventory, or allow sudo on the host"),
    (("sudo: not found", "sudo: command not found", "failed to find the executable sudo"),
     "{host} has no sudo", "connect as root (ansible_user=root) or name another ansible_become_method"),
    (("permission denied (", "authentication failed", "invalid/incorrect password", "too many authentication failures"),
     "{host} refused the login", "ssh {address}; then check ansible_user and ansible_ssh_private_key_file in the inventory"),
    (("host key verification failed", "remote host identification has changed"),
     "The ssh host key of {host} is not the known one (a new machine, or somebody in between)",
     "compare its fingerprint with the hoster's before removing the old one: ssh-keygen -R {address}"),
    (("could not resolve hostname", "name or service not known", "temporary failure in name resolution", "nodename nor servname"),
     "{host} cannot be found: its name does not resolve", "check ansible_host in the inventory, and DNS: getent hosts {address}"),
    (("connection refused",),
     "{host} is there but takes no ssh (connection refused)", "ssh {address}; the hoster's console shows whether sshd runs"),
    (("timed out", "waiting for privilege escalation prompt", "no route to host", "network is unreachable", "connection closed by", "connection reset"),
     "{host} does not answer", "ping {address}; then the hoster's console"),
    (("python3: not found", "python: not found", "python3: command not found", "no such file or directory: '/usr/bin/python", "interpreter_not_found"),
     "{host} has no Python 3 where Ansible looks for it", "install python3 there or set ansible_python_interpreter"),
)  # fmt: skip


def words(result: Any) -> str:
    """The one sentence of a failed result."""
    found = result if isinstance(result, Mapping) else {"msg": result}
    if "censored" in found:
        return "It failed, and its words are hidden because they may hold a secret (no_log)."
    for item in found.get("results") or []:
        if isinstance(item, Mapping) and item.get("failed"):
            return words(item)
    said = found.get("msg")
    if isinstance(said, (list, tuple)):
        said = " ".join(str(line) for line in said)
    last = [line for line in str(found.get("stderr") or found.get("module_stderr") or "").splitlines() if line.strip()][-1:]
    # A command's own last line says more than that its exit status was not zero.
    if last and (found.get("rc") or not said):
        said = f"{last[0].strip()} (exit status {found.get('rc')})"
    return printable(str(said or "It failed without a word; run again with -v to see everything.")).strip()


def first_contact(result: Any, address: str, host: str = "") -> dict[str, str]:
    """{sentence, next} for the result of the first task on a host."""
    found = result if isinstance(result, Mapping) else {"msg": result}
    said = _text(" ".join(str(found.get(key) or "") for key in ("msg", "module_stderr", "module_stdout", "stderr")))
    tried = TRIED.search(said)
    if tried and address in ("", host):
        address = tried.group(1)
    where = f"{host} ({address})" if host and host != address else address
    for marks, meaning, following in MEANINGS:
        if any(mark in said.lower() for mark in marks):
            sentence = meaning.format(host=where, address=address)
            return {"sentence": f"{sentence}.", "next": following.format(host=where, address=address)}
    # A module of ours that failed has said it in one sentence already.
    return {"sentence": said or f"{where} gave no answer.", "next": f"ansible {host or address} -m ansible.builtin.ping -vvv"}
