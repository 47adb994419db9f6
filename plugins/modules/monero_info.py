#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: monero_info
short_description: Tell which of ten things is the matter with a Monero wallet RPC, and how the daemon is
version_added: 0.3.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Asks the Monero daemon and all wallet RPCs at once, and looks at their containers, processes, files and locks meanwhile.
  - Finds their addresses itself, through Docker, or in the engine's own files where Docker does not answer. One that is published, or
    behind a proxy, is asked at its O(wallets[].url).
  - Is over when O(timeout) is, also while a wallet hangs, drips bytes, or answers with gigabytes.
  - Never opens a wallet, which would throw another one out; never exports, imports or exchanges multisig info, which would spoil an open
    signing round; never signs or sends. Balances are returned only on request.
  - Logs in by digest over one connection, as the wallet RPC wants it. Logins and passwords are in no result.
requirements:
  - Docker Engine 20.10 or newer, unless each has a O(wallets[].url)
notes:
  - Needs root on the host for what it says about processes, files and locks.
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.info_module
  - monero_marketplace.incident.attributes.actiongroup_incident
options:
  project_dir:
    description: The folder of the Compose file to which the services belong.
    type: path
    default: /opt/marketplace/4.5/docker
  daemon:
    description: The Monero daemon. Without it the lag of the wallets is not known.
    type: dict
    suboptions:
      service:
        description: Its Compose service.
        type: str
        default: ""
      url:
        description: Its address, such as V(https://node.example/monerod), where that is not its container's and O(daemon.port).
        type: str
        default: ""
      port:
        description: The port of its RPC on the Compose network.
        type: int
        default: 18081
  wallets:
    description: The wallet RPCs.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: Whose wallet it is.
        type: str
        required: true
      service:
        description: Its Compose service; empty for one that is no service of the project.
        type: str
        default: ""
      url:
        description: Its address, where that is not its container's and O(wallet_port). C(/json_rpc) is added.
        type: str
        default: ""
      user:
        description: The user of its login. Empty means O(wallets[].login_file), else no login.
        type: str
        default: ""
      password:
        description: The password of its login. Not the wallet file's, which is never needed here.
        type: str
        default: ""
      login_file:
        description: A file on the host with a line C(rpc-login=user:password), or with C(user:password) alone.
        type: path
      directory:
        description: Its C(--wallet-dir) as the host sees it. Without it files, locks and the name of the open wallet are not known.
        type: path
      wallet:
        description: Name of the wallet file that is to be open.
        type: str
        default: ""
      open:
        description: With V(on_demand) the application decides what is open when, and another wallet than O(wallets[].wallet) is not wrong.
        type: str
        choices: [always, on_demand]
        default: on_demand
      address:
        description: The primary address that the open wallet must have. Empty means any.
        type: str
        default: ""
      signer:
        description: The SHA-256 that its C(.keys) file must have, in hexadecimal digits. Empty means any.
        type: str
        default: ""
  wallet_port:
    description: Port of the wallet RPCs on the Compose network.
    type: int
    default: 18082
  timeout:
    description: Seconds for the whole look.
    type: float
    default: 1.8
  balances:
    description: Whether to return what the wallets hold.
    type: bool
    default: false
  validate_certs:
    description: Whether the certificate of an https address must be valid.
    type: bool
    default: true
seealso:
  - module: monero_marketplace.incident.monero_wallet
  - plugin: monero_marketplace.incident.marketplace_wallets
    plugin_type: filter
"""

EXAMPLES = r"""
- name: See how the daemon and two wallets are
  monero_marketplace.incident.monero_info:
    project_dir: /opt/marketplace/4.5/docker
    daemon:
      service: monerod
    wallets:
      - role: buyer
        service: monero-wallet-rpc-buyer
        login_file: /opt/marketplace/4.5/docker/secrets/wallet_rpc_login
        directory: /data/wallets/buyer
        wallet: escrow_1
        open: always
      - role: vendor
        service: monero-wallet-rpc-vendor
        login_file: /opt/marketplace/4.5/docker/secrets/wallet_rpc_login
        directory: /data/wallets/vendor
  register: found

- name: One behind a proxy
  monero_marketplace.incident.monero_info:
    wallets:
      - role: arbiter
        url: https://wallets.example/arbiter
        user: marketplace
        password: "{{ marketplace_wallet_password }}"

- name: All that the inventory names
  monero_marketplace.incident.monero_info:
    project_dir: "{{ marketplace_compose_dir }}"
    daemon:
      service: "{{ marketplace_daemon_service }}"
      url: "{{ marketplace_daemon_url }}"
      port: "{{ marketplace_daemon_port }}"
    wallets: >-
      {{ marketplace_wallets | monero_marketplace.incident.marketplace_wallets(marketplace_data_dir)
         | map('combine', {'user': marketplace_wallet_user, 'password': marketplace_wallet_password,
                           'login_file': marketplace_wallet_login_file}) | list }}
    wallet_port: "{{ marketplace_wallet_port }}"
"""

RETURN = r"""
waiting:
  description: The wallets that are not ready and the daemon unless it is synchronized, each with its state; empty where all is well.
  returned: success
  type: str
monero:
  description: What was found. Whatever could not be learned is null.
  returned: success
  type: dict
  contains:
    clock:
      description: When, by the host's clock, in seconds since 1970.
      type: float
    through:
      description: How the containers were found, V(docker), V(files) of the engine while Docker does not answer, or V(nothing).
      type: str
    daemon:
      description:
        - C(state) is V(synchronized), V(synchronizing), V(no_peers), V(stale) (it says synchronized, and its last block is two hours old),
          V(auth_required), V(not_responding), V(port_closed), V(container_down) or V(unknown); C(evidence) says why, in sentences.
        - C(service), C(url), C(container) and C(process) as of a wallet.
        - C(height) and C(target_height) in blocks, the latter 0 when synchronized; C(synchronized), C(busy_syncing), C(offline).
        - C(last_block_age) in seconds, C(last_block_hash), C(peers_out), C(peers_in), C(version), C(network).
        - C(reorganised), the last reorganisation in the end of its log, with C(at), C(height) and C(blocks); null otherwise.
        - C(log), the last lines of its container unless it is synchronized.
      type: dict
    wallets:
      description: One entry for each of O(wallets), in the same order.
      type: list
      elements: dict
      contains:
        role:
          description: As given.
          type: str
        service:
          description: As given.
          type: str
        url:
          description: Where it was asked.
          type: str
        state:
          description:
            - V(ready), a wallet is open, the right one as far as that is told, and not far behind the daemon.
            - V(no_wallet_open), which is normal with O(wallets[].open=on_demand).
            - V(wrong_wallet), by name, address or signer.
            - V(auth_required), the login is missing or refused.
            - V(syncing_busy), it says nothing but works, or is more than 20 blocks behind the daemon; a restart would throw its work away.
            - V(daemon_unreachable), it waits for a daemon that is away, or could not pay without it.
            - V(keys_locked), a live process other than this RPC holds the wallet's C(.keys) file.
            - V(not_responding), it is halted, does nothing, or answers otherwise than an RPC does.
            - V(port_closed), its container runs and nobody listens.
            - V(container_down), its container does not run, or there is none.
          type: str
        evidence:
          description: Why it is in this state, in sentences, the weightiest first.
          type: list
          elements: str
        container:
          description:
            - C(id), C(name), C(status), C(started_at), C(pid), C(exit_code), C(restart_count) and C(image); null where it has none.
          type: dict
        process:
          description:
            - C(pid) of the program on the host and its C(state) in /proc, V(T) when halted by a signal.
            - C(moving), whether its processor time or one of its logs moved between two looks; null where they were too close together.
          type: dict
        rpc_version:
          description: The version of its interface, such as V(1.26).
          type: str
        release:
          description: The releases that have that interface, such as V(0.18.2.2-0.18.3.1).
          type: str
        height:
          description: The block height the open wallet has seen.
          type: int
        lag:
          description: Blocks behind the daemon.
          type: int
        address:
          description: The open wallet's primary address, which all signers of an escrow share.
          type: str
        open_wallet:
          description: Name of the open wallet, by the lock on its C(.keys) file, else by who has that file open.
          type: str
        wanted_wallet:
          description: As given in O(wallets[].wallet).
          type: str
        open:
          description: As given.
          type: str
        pin:
          description: V(equal) or V(differs), the SHA-256 of the wallet's C(.keys) file from O(wallets[].signer); V(none) where either is not known.
          type: str
        multisig:
          description: C(ready), C(threshold) and C(total); null where the open wallet is no multisig wallet.
          type: dict
        import_needed:
          description: Whether it needs the other signers' multisig info before it can sign.
          type: bool
        balance:
          description: In atomic units (piconero), only with O(balances).
          type: int
        unlocked_balance:
          description: The part of C(balance) that could be spent now, only with O(balances).
          type: int
        files:
          description:
            - The files of the wanted wallet, else of the open one, by its name C(wallet) in its C(directory).
            - C(keys) with C(exists), C(size), C(sha256) and C(mtime); C(cache) with C(exists), C(size) and C(mtime); C(address_file).
            - C(leftovers), files ending in C(.new) of a store that did not end, or in C(.unportable) of a cache that could not be read;
              C(login_files), those of an earlier start that are still there.
            - C(lock), who holds the C(.keys) file, with C(pid), C(command), C(container) and whether that is C(ours), this RPC's; null if nobody.
          type: dict
        login:
          description: Whether one was C(given), and when its file was changed, C(file_changed_at), in seconds since 1970.
          type: dict
        detached:
          description:
            - The last time it took blocks back, as far as the end of its log reaches; null otherwise. Without any C(transfers) because the
              chain was reorganised, else maybe because multisig info was imported.
            - C(at) in seconds since 1970, the first C(height), and how many C(blocks) and C(transfers).
          type: dict
        log:
          description: The last lines of its container, unless it is ready.
          type: list
          elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_engine, _monero_info
from ansible_collections.monero_marketplace.incident.plugins.module_utils._http_probe import BadUrl, check_url, tls_context

DAEMON = {
    "service": {"type": "str", "default": ""},
    "url": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 18081},
}
WALLET = {
    "role": {"type": "str", "required": True},
    "service": {"type": "str", "default": ""},
    "url": {"type": "str", "default": ""},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "login_file": {"type": "path"},
    "directory": {"type": "path"},
    "wallet": {"type": "str", "default": ""},
    "open": {"type": "str", "choices": ["always", "on_demand"], "default": "on_demand"},
    "address": {"type": "str", "default": ""},
    "signer": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "project_dir": {"type": "path", "default": "/opt/marketplace/4.5/docker"},
            "daemon": {"type": "dict", "options": DAEMON},
            "wallets": {"type": "list", "elements": "dict", "default": [], "options": WALLET},
            "wallet_port": {"type": "int", "default": 18082},
            "timeout": {"type": "float", "default": 1.8},
            "balances": {"type": "bool", "default": False},
            "validate_certs": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    if options["timeout"] <= 0:
        module.fail_json(msg=f"'timeout' is {options['timeout']}: it needs a number above 0.")
    daemon = options["daemon"] or {"service": "", "url": "", "port": 18081}
    asked = [daemon, *options["wallets"]]
    secure = any(one["url"].startswith("https:") for one in asked)
    context = tls_context(options["validate_certs"]) if secure else None
    try:
        for one in asked:
            if one["url"]:
                check_url(one["url"])
        found = _monero_info.look(
            _monero_info.Wanted(
                project_dir=options["project_dir"],
                daemon=daemon,
                wallets=options["wallets"],
                wallet_port=options["wallet_port"],
                timeout=options["timeout"],
                balances=options["balances"],
                context=context,
            )
        )
    except (BadUrl, _compose_engine.CannotLook) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=False, monero=found, waiting=_monero_info.waiting(found))


if __name__ == "__main__":
    main()
