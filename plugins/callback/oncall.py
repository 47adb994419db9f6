# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: oncall
type: stdout
short_description: What a person repairing a marketplace needs to see
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Shows the movements of a run as they begin, what changed, what is being waited for and for how long, a failure as its one
    sentence, and the summary as plain text.
  - On a terminal the step at work is shown in place. Elsewhere, and on a dumb terminal, only whole lines are written.
  - With C(-v) or more it is the P(ansible.builtin.default#callback) callback.
  - It is presentation only. Record, result and exit status never depend on it.
options:
  waiting_interval:
    description: Where nothing can be overwritten in place, say every so many seconds what is still being waited for.
    type: float
    default: 10
    env:
      - name: ONCALL_WAITING_INTERVAL
    ini:
      - section: callback_oncall
        key: waiting_interval
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout in configuration
"""

import functools
import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.playbook.role_include import IncludeRole
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default

from ansible_collections.monero_marketplace.incident.plugins.module_utils._first_contact import first_contact, words
from ansible_collections.monero_marketplace.incident.plugins.module_utils._plain_text import (
    cut,
    printable,
    shown_in,
    summary_wrapped,
    wrapped,
)

PREFIX = " | "
ERASE = "\r\033[K"
# These say why a run stops; what went wrong was said by the task before.
SPEAKERS = frozenset(["assert", "ansible.builtin.assert", "fail", "ansible.builtin.fail"])
DEBUG = frozenset(["debug", "ansible.builtin.debug"])
# Waiting shorter than this is not worth a line.
NOTICEABLE = 2.0


def unless_verbose(method: Callable[..., None]) -> Callable[..., None]:
    """With -v everything is as the default callback shows it."""

    @functools.wraps(method)
    def chosen(self: CallbackModule, *given: Any, **named: Any) -> None:
        if self._display.verbosity:
            getattr(super(CallbackModule, self), method.__name__)(*given, **named)
        else:
            method(self, *given, **named)

    return chosen


def said(name: str) -> str:
    """A task's name without the file it stands in."""
    return name.split(PREFIX, 1)[-1].strip()


class CallbackModule(Default):  # type: ignore[misc]  # core brings no types
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "monero_marketplace.incident.oncall"

    def __init__(self) -> None:
        super().__init__()
        self._title: str | None = None  # the play's name, until there is something to show under it
        self._hosts: set[str] = set()
        self._told: set[str] = set()  # includes and sentences that were shown
        self._begun: dict[tuple[str, str], float] = {}
        self._waits: dict[tuple[str, str], tuple[float, float, str]] = {}
        self._items: dict[tuple[str, str], str] = {}  # the first failed item's words
        self._sentences: dict[str, list[str]] = {}  # failures whose words a summary may still say
        self._unsummed: set[str] = set()  # hosts that failed and had no summary since
        self._in_place = False
        self._tall = False  # whether the last summary or message had several lines

    # Output -----------------------------------------------------------------------------------------------------------

    def _live(self) -> bool:
        return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def _width(self) -> int | None:
        if sys.stdout.isatty() or os.environ.get("COLUMNS"):
            return shutil.get_terminal_size().columns
        return None

    def _erase(self) -> None:
        if self._in_place:
            self._display.display(ERASE, screen_only=True, newline=False)
            self._in_place = False

    def _say(self, text: str, color: str | None = None) -> None:
        self._erase()
        if self._title:
            title, self._title = self._title, None
            self._say(title)
        self._display.display(shown_in(text, sys.stdout.encoding), color=color)
        sys.stdout.flush()

    def _line(self, text: str, color: str | None = None) -> None:
        self._say(wrapped(text, self._width(), "    "), color)

    def _now(self, text: str) -> None:
        """Show what is going on in place; the next output takes its place."""
        if not self._live():
            return
        line = cut(shown_in(printable(text), sys.stdout.encoding), self._width() or 80)
        self._display.display(ERASE + line, screen_only=True, newline=False)
        self._in_place = True
        sys.stdout.flush()

    def _of(self, host: str) -> str:
        return f"{host}: " if len(self._hosts) > 1 else ""

    # What begins ------------------------------------------------------------------------------------------------------

    @unless_verbose
    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play
        self._title = printable(play.get_name().strip()) or None
        self._hosts = set()

    @unless_verbose
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002
        self._now(f"  {said(task.get_name())} ...")

    @unless_verbose
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._now(f"  {said(task.get_name())} ...")

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        if not task.implicit:
            self._hosts.add(host.get_name())
        self._begun[host.get_name(), task._uuid] = time.monotonic()
        super().v2_runner_on_start(host, task)

    @unless_verbose
    def v2_playbook_on_include(self, included_file: Any) -> None:
        pass

    def _print_task_banner(self, task: Any) -> None:
        """The default callback puts one above a diff."""
        if self._display.verbosity:
            super()._print_task_banner(task)
            return
        self._line(f"  {said(task.get_name())}")
        self._last_task_banner = task._uuid

    # What is waited for -----------------------------------------------------------------------------------------------

    @unless_verbose
    def v2_runner_retry(self, result: Any) -> None:
        host, now = result.host.get_name(), time.monotonic()
        key = (host, result.task._uuid)
        began, spoken, _what = self._waits.get(key, (self._begun.get(key, now), now, ""))
        what = printable(str(result.result.get("waiting") or said(result.task_name)))
        line = f"  waiting {now - began:.0f} s: {self._of(host)}{what}"
        if self._live():
            self._now(line)
        elif now - spoken >= self.get_option("waiting_interval"):
            self._line(line)
            spoken = now
        self._waits[key] = (began, spoken, what)

    def _waited(self, result: Any) -> None:
        host = result.host.get_name()
        began, _spoken, what = self._waits.pop((host, result.task._uuid), (None, None, ""))
        if began is not None and time.monotonic() - began >= NOTICEABLE:
            self._line(f"  waited {time.monotonic() - began:.0f} s: {self._of(host)}{what}")

    # What came of it --------------------------------------------------------------------------------------------------

    @unless_verbose
    def v2_runner_on_ok(self, result: Any) -> None:
        self._waited(result)
        self._handle_warnings(result.result)
        name, host = result.task_name, result.host.get_name()
        if isinstance(result.task, TaskInclude):
            self._begins(result.task, name)
        elif result.task.action in SPEAKERS and said(name) == "Summary":
            self._summary(host, result.result, C.COLOR_OK)
        elif result.task.action in DEBUG and "censored" not in result.result:
            self._spoken(result)
        elif result.result.get("changed"):
            took = time.monotonic() - self._begun.get((host, result.task._uuid), time.monotonic())
            seconds = f" ({took:.0f} s)" if took >= NOTICEABLE else ""
            self._line(f"  changed: {self._of(host)}{said(name)}{seconds}", C.COLOR_CHANGED)

    def _begins(self, task: Any, name: str) -> None:
        if task._uuid in self._told:
            return
        self._told.add(task._uuid)
        movement = isinstance(task, IncludeRole) and PREFIX not in name
        self._line(name.strip() if movement else f"  {said(name)}")

    def _spoken(self, result: Any) -> None:
        if "results" in result.result and result.task.loop:
            return  # each item has spoken
        message = result.result.get("msg")
        if isinstance(message, list) and all(isinstance(line, str) for line in message):
            message = "\n".join(message)
        if not isinstance(message, str):
            self._clean_results(result.result, result.task.action)
            message = self._dump_results(result.result)
        self._apart("\n" in message)
        self._say(summary_wrapped(printable(message), self._width()))

    def _apart(self, tall: bool) -> None:
        """Room around what has several lines; of many hosts those with nothing to tell need one line each."""
        if tall or self._tall:
            self._say("")
        self._tall = tall

    def _summary(self, host: str, found: dict[str, Any], color: str) -> None:
        """The last words of a run on a host, once; what they say of a failure need not be said again."""
        text = printable(words(found) if "censored" in found else str(found.get("msg") or ""))
        flat = " ".join(text.split())
        for sentence in self._sentences.pop(host, []):
            if " ".join(sentence.split()) not in flat:
                self._line(f"{self._of(host)}{sentence}", C.COLOR_ERROR)
        self._unsummed.discard(host)
        self._erase()
        header, _newline, rest = text.partition("\n")
        fitted = summary_wrapped(f"{header}\n{rest}" if rest else header, self._width()).split("\n")
        # A wrapped header goes on with two spaces; all of it has the colour.
        head = 1
        while head < len(fitted) and fitted[head].startswith("  ") and not fitted[head].startswith(" " * 7):
            head += 1
        self._apart(len(fitted) > 1)
        self._say("\n".join(fitted[:head]), color)
        if fitted[head:]:
            self._say("\n".join(fitted[head:]))

    @unless_verbose
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        host, name = result.host.get_name(), result.task_name
        self._handle_warnings(result.result)
        if ignore_errors:
            self._waited(result)
            return
        if result.task.action in SPEAKERS and said(name) == "Summary":
            self._summary(host, result.result, C.COLOR_ERROR)
            return
        self._unsummed.add(host)
        gave_up = self._waits.get((host, result.task._uuid))
        self._waits.pop((host, result.task._uuid), None)
        if gave_up and not result.result.get("msg"):
            sentence = f"{said(name)}: gave up after {time.monotonic() - gave_up[0]:.0f} s, still waiting for: {gave_up[2]}"
            self._line(f"  {self._of(host)}{sentence}", C.COLOR_ERROR)
            self._told.add(f"{host} {sentence}")
            return
        if result.task.action not in SPEAKERS:
            self._line(f"  failed: {self._of(host)}{said(name)}", C.COLOR_ERROR)
        sentence = self._items.pop((host, result.task._uuid), "") or words(result.result)
        sentences = self._sentences.setdefault(host, [])
        if sentence not in sentences:
            sentences.append(sentence)

    @unless_verbose
    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._handle_warnings(result.result)
        if result.task.ignore_unreachable:
            return
        host = result.host.get_name()
        where = str(result.task.delegate_to or host)
        found = first_contact(result.result, where, where)
        self._line(f"{found['sentence']} Next: {found['next']}", C.COLOR_UNREACHABLE)
        self._unsummed.add(host)

    @unless_verbose
    def v2_runner_on_skipped(self, result: Any) -> None:
        self._handle_warnings(result.result)

    @unless_verbose
    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._handle_warnings(result.result)
        if result.task.action in DEBUG and "censored" not in result.result:
            self._spoken(result)

    @unless_verbose
    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._handle_warnings(result.result)
        self._items.setdefault((result.host.get_name(), result.task._uuid), words(result.result))

    @unless_verbose
    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self._handle_warnings(result.result)

    @unless_verbose
    def v2_runner_on_async_poll(self, result: Any) -> None:
        pass

    @unless_verbose
    def v2_runner_on_async_ok(self, result: Any) -> None:
        pass

    @unless_verbose
    def v2_runner_on_async_failed(self, result: Any) -> None:
        pass

    # The end ----------------------------------------------------------------------------------------------------------

    @unless_verbose
    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._line("No host is left for this play.", C.COLOR_SKIP)

    @unless_verbose
    def v2_playbook_on_no_hosts_remaining(self) -> None:
        self._erase()

    @unless_verbose
    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._erase()
        for host, sentences in sorted(self._sentences.items()):
            for sentence in sentences:
                self._line(f"{self._of(host)}{sentence}", C.COLOR_ERROR)
        if self._unsummed or (stats.custom and self.get_option("show_custom_stats")):
            super().v2_playbook_on_stats(stats)
