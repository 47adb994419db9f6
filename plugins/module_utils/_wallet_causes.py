# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The table of causes of playbooks/monero_rpc.yml, the root first. docs/causes.md is made from it too."""

from __future__ import annotations

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _wallet_causes_daemon,
    _wallet_causes_files,
    _wallet_causes_rpc,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Cause

PAGE = "docs/monero_rpc.md"

# The first that applies; as long as the daemon is silent, wallets that miss it are left alone.
DAEMON_CAUSES = (
    Cause(
        "daemon-halted",
        _wallet_causes_daemon.halted,
        means="the Monero daemon was halted by a signal",
        evidence="its state T in /proc",
        answer="SIGCONT, once; no wallet is touched",
        drill="wallet-monerod-hung",
        page=PAGE,
    ),
    Cause(
        "chain-damaged",
        _wallet_causes_daemon.chain_damaged,
        means="the daemon does not come up because its chain database cannot be read",
        evidence="its own words about LMDB, of a container that ends right after each start",
        answer="with a confirmation the chain's folder is moved aside, never deleted, and the daemon fetches the chain anew",
        drill="wallet-monerod-chain-damaged",
        page=PAGE,
    ),
    Cause(
        "daemon-down",
        _wallet_causes_daemon.down,
        means="the daemon's container does not run",
        evidence="the state of its container and its exit status",
        answer="its log is kept, then it is started; no wallet is touched. One that ends right after each start, or has no container, is "
        "left to a person",
        drill="wallet-monerod-down",
        page=PAGE,
    ),
    Cause(
        "daemon-login",
        _wallet_causes_daemon.login_wanted,
        means="the daemon wants a login that is not known here",
        evidence="its answer 401",
        answer="left to a person; nothing is restarted",
        drill="",
        page=PAGE,
    ),
    Cause(
        "daemon-silent",
        _wallet_causes_daemon.silent,
        means="the daemon runs and does not answer",
        evidence="no answer in time; whether it works is seen by its processor time and its log",
        answer="waited for while it is young or works; then restarted only with a confirmation, with 300 s to end by itself",
        drill="",
        page=PAGE,
    ),
    Cause(
        "blocks-taken-back",
        _wallet_causes_daemon.taken_back,
        means="the chain ends below what a wallet has seen, or ends in another block than at first: a reorganisation, or an older database",
        evidence="the heights of daemon and wallets, the last block's hash, and how many blocks a wallet's log says it took back within the last hour",
        answer="nothing is restarted; the summary says that deposits may be unconfirmed again, and waits for the wallets to follow; ten blocks "
        "or more are left to a person",
        drill="wallet-monerod-reorg",
        page=PAGE,
    ),
    Cause(
        "daemon-behind",
        _wallet_causes_daemon.behind,
        means="the daemon knows of a longer chain than it has",
        evidence="its height against its target height",
        answer="waited for within a budget, progress in blocks shown; never restarted, then left to a person",
        drill="wallet-monerod-behind",
        page=PAGE,
    ),
    Cause(
        "daemon-without-peers",
        _wallet_causes_daemon.without_peers,
        means="the daemon calls itself synchronized and has no peer to hear a block from",
        evidence="its count of outgoing connections, where it is not told to be offline",
        answer="left to a person, with the evidence; a restart would help nobody",
        drill="",
        page=PAGE,
    ),
    Cause(
        "daemon-stale",
        _wallet_causes_daemon.stale,
        means="the daemon calls itself synchronized, but its last block is old",
        evidence="the age of its last block",
        answer="left to a person, with the evidence",
        drill="",
        page=PAGE,
    ),
)

# For each wallet RPC the first one that applies is its cause.
WALLET_CAUSES = (
    Cause(
        "wallet-missing",
        _wallet_causes_rpc.missing,
        means="a wallet RPC has no container",
        evidence="the containers of the Compose project",
        answer="left to playbooks/outage.yml, which creates it",
        drill="",
        page=PAGE,
    ),
    Cause(
        "wallet-paused",
        _wallet_causes_rpc.paused,
        means="a wallet RPC is paused",
        evidence="the state of its container",
        answer="left to playbooks/outage.yml, which asks before it goes on",
        drill="",
        page=PAGE,
    ),
    Cause(
        "wallet-halted",
        _wallet_causes_rpc.halted,
        means="a wallet RPC was halted by a signal",
        evidence="its state T in /proc",
        answer="SIGCONT, once: it goes on where it stopped, a signing round too",
        drill="wallet-hung",
        page=PAGE,
    ),
    Cause(
        "keys-locked",
        _wallet_causes_rpc.keys_locked,
        means="another living process has the wallet's keys locked",
        evidence="the kernel's table of locks, with pid, command and container of the holder",
        answer="left to a person; the lock is never broken",
        drill="wallet-keys-locked",
        page=PAGE,
    ),
    Cause(
        "stale-login",
        _wallet_causes_rpc.stale_login,
        means="the login file of a run that was killed keeps a wallet RPC from starting (before v0.18.3.4)",
        evidence="the file, and the wallet RPC's own words",
        answer="only that file is moved aside and kept, then the container is started",
        drill="wallet-stale-login",
        page=PAGE,
    ),
    Cause(
        "wallet-damaged",
        _wallet_causes_files.damaged,
        means="a wallet that is to be open cannot be opened because a file of it is damaged or missing",
        evidence="copies of its files, opened by a throw-away wallet RPC without network; sha256 of the keys against the pin",
        answer="a damaged cache is kept and read anew from the chain; keys come from the newest good backup with a confirmation; payouts "
        "are frozen first, and stay so until the wallets have exchanged multisig info",
        drill="wallet-cache-corrupt",
        page=PAGE,
    ),
    Cause(
        "wallet-falls",
        _wallet_causes_rpc.falling,
        means="a wallet RPC ends right after each start",
        evidence="the state of its container, and its last lines",
        answer="left to a person",
        drill="",
        page=PAGE,
    ),
    Cause(
        "wallet-down",
        _wallet_causes_rpc.exited,
        means="a wallet RPC does not run",
        evidence="the state of its container and its exit status",
        answer="its log is kept, it is started, and its wallet is opened where the inventory says `open: always`; unless no "
        "signing round was open, payouts are frozen first",
        drill="wallet-killed",
        page=PAGE,
    ),
    Cause(
        "login-refused",
        _wallet_causes_rpc.auth_required,
        means="a wallet RPC wants a login that it was not given, or refuses the one given",
        evidence="its answer 401; when the login file was changed, against the start of the container",
        answer="with a confirmation it is restarted where the file is newer than its start; else left to a person",
        drill="wallet-auth",
        page=PAGE,
    ),
    Cause(
        "unfinished-store",
        _wallet_causes_files.unfinished_store,
        means="a wallet could not be stored because its disk is full",
        evidence="a `.new` beside its file, and the disk",
        answer="both files stay, nothing is restarted; playbooks/outage.yml makes room",
        drill="wallet-full-disk",
        page=PAGE,
    ),
    Cause(
        "daemon-out-of-reach",
        _wallet_causes_rpc.daemon_missing,
        means="a wallet RPC does not reach its daemon",
        evidence="its own answers and log, while the daemon answers the host",
        answer="of the daemon's trouble it is a consequence; else waited for, then left to a person",
        drill="",
        page=PAGE,
    ),
    Cause(
        "wallet-busy",
        _wallet_causes_rpc.busy,
        means="a wallet RPC reads the chain and answers nothing meanwhile",
        evidence="its processor time, its log or its height moves",
        answer="waited for within a budget, progress in blocks shown; never restarted; the upgrade to v0.18.4.1 is advised",
        drill="",
        page=PAGE,
    ),
    Cause(
        "wallet-silent",
        _wallet_causes_rpc.silent,
        means="a wallet RPC runs and does not answer",
        evidence="no answer in time, and nothing moves",
        answer="restarted by itself only where `marketplace_open_signing_query` proves that no signing round is open, else with a "
        "confirmation: its cache is copied, it is stored where it still listens, it gets 60 s to end, its wallet is opened again",
        drill="wallet-signing-open",
        page=PAGE,
    ),
    Cause(
        "wrong-wallet",
        _wallet_causes_files.wrong_wallet,
        means="another wallet is open than the inventory wants open always, or the right name with other keys",
        evidence="the name of the open file, its address, or the sha256 of its keys against the pin",
        answer="closed and the right one opened where no signing round is open, else with a confirmation; other keys under the right name "
        "are left to a person",
        drill="wallet-wrong",
        page=PAGE,
    ),
    Cause(
        "wallet-refused",
        _wallet_causes_files.refuses_to_open,
        means="a wallet RPC does not open the wallet it was told to",
        evidence="its answer, its log since then, and copies of the files",
        answer="left to a person",
        drill="",
        page=PAGE,
    ),
    Cause(
        "none-open",
        _wallet_causes_files.none_open,
        means="a wallet RPC answers, but the wallet that is to be open is not",
        evidence="its error -13",
        answer="opened where the inventory says `open: always`; else it is no fault at all",
        drill="wallet-closed",
        page=PAGE,
    ),
    Cause(
        "wallet-behind",
        _wallet_causes_rpc.lagging,
        means="an open wallet is more than ten blocks behind the daemon",
        evidence="both heights",
        answer="waited for within a budget, progress in blocks shown",
        drill="",
        page=PAGE,
    ),
)
