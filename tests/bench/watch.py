# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When users were served again, and when the engine called every service healthy: seen from outside."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from lab.instance import Lab

POLL_SECONDS = 0.05
LONGEST = 180.0

# Filters the daemon knows: without them each health probe would add three events.
KINDS = ("create", "start", "die", "kill", "stop", "destroy", "unpause", "health_status")


@dataclass
class Watch:
    """Polls the health address from outside and follows the engine's events while a repair runs."""

    lab: Lab
    first_good: float | None = None
    events: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        filters = [word for kind in KINDS for word in ("--filter", f"event={kind}")]
        events = ["docker", "events", "--filter", "type=container", *filters, "--format", "{{json .}}"]
        self._stream = subprocess.Popen(
            ["docker", "exec", self.lab.host.name, *events],
            env=self.lab.engine.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        self._threads = [threading.Thread(target=self._poll), threading.Thread(target=self._follow)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._stream.terminate()
        for thread in self._threads:
            thread.join()
        self._stream.wait()

    def _poll(self) -> None:
        while not self._over.is_set() and self.first_good is None:
            if self.lab.get("health", "/api/health", 1.0)[0] == 200:
                self.first_good = time.time()
            self._over.wait(POLL_SECONDS)

    def _follow(self) -> None:
        assert self._stream.stdout is not None
        for line in self._stream.stdout:
            self.events.append(json.loads(line))

    def wait_until_served(self) -> None:
        """As the handbook says: poll until the health address answers."""
        deadline = time.monotonic() + LONGEST
        while self.first_good is None:
            assert time.monotonic() < deadline, f"no outside 200 within {LONGEST:.0f} s"
            time.sleep(POLL_SECONDS)

    def turned_healthy(self) -> float | None:
        """The last time a service became healthy; None when none had to."""
        times = [event["timeNano"] / 1e9 for event in self.events if event["status"] == "health_status: healthy"]
        return max(times, default=None)

    def engine_began(self) -> float | None:
        """The first time the engine did anything to a container."""
        times = [event["timeNano"] / 1e9 for event in self.events if not event["status"].startswith("health_status")]
        return min(times, default=None)
