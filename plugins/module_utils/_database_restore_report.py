# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What role incident is told about a database that may be corrupt: what was seen, done, lost, and what opens the shop."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_restore_plan import span
from ansible_collections.monero_marketplace.incident.plugins.module_utils._health_report import stray

PAGE = "Database Team, CTO"
MANUAL = "docs/data_corruption.md"
AGAIN = "ansible-playbook playbooks/data_corruption.yml"
GOES_ON = "the shop goes on with these values once rows, wallets and chain were compared"
MOST = 3
CHANGES = ("new", "changed", "deleted", "unknown")
STEPS = (
    "freeze the database and payouts, hold its writers still, examine two copies: sound, all goes on",
    "damaged, keep the whole set with its hashes, end the writers, leave it frozen",
)


def report(facts: Mapping[str, Any]) -> dict[str, Any]:
    tell = _Report(facts)
    return {
        "settled": tell.settled,
        "serving": tell.serving,
        "causes": tell.causes(),
        "plan": tell.planned(),
        "confirm": tell.questions(),
        "stray_confirmations": stray(list(facts["given"]), tell.questions()),
        "escalate": [{"sentence": one} for one in tell.escalations()],
        "did": tell.did(),
        "kept": [*(facts["verdict"].get("kept") or []), *facts["result"]["kept"]],
        "risk": tell.risks(),
        "next": tell.following(),
        "lost": tell.lost(),
        "headline": tell.headline(),
        "page": PAGE,
        "payouts_frozen": tell.closed,
        "postmortem": "mandatory" if tell.damage else "",
    }


class _Report:
    """The facts of one run, asked in the words of a summary."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self.verdict, self.plan, self.result = facts["verdict"], facts["plan"], facts["result"]
        self.reopening, self.last = facts["reopening"], facts["last"]
        self.check = bool(facts["check"])
        self.opened = bool(self.result["opened"])
        self.restored = facts["stage"] == "restored"
        self.damaged = self.verdict.get("state") == "damaged"
        # One that stays was damaged in an earlier run, and has still to be compared with the chain.
        self.sound = self.verdict.get("state") == "sound" and not self.verdict["stays"]
        # Also of an earlier run, whose restore is not settled yet.
        self.damage = self.damaged or self.restored or facts["stage"] in ("begun", "reopening")
        # With values that are wrong in a file that is whole, on the word of a person.
        self.goes_on = bool(self.verdict.get("thaw")) and self.verdict["thaw"] in facts["given"]
        self.mended = self.restored and not self.damaged
        examined = bool(self.verdict)
        self.closed = (facts["closed"] or examined) and not self.opened and not (examined and not self.verdict["stays"])
        self.untouched = facts["stage"] == "nothing"
        self.elsewhere = self.untouched and bool(facts["diagnosis"].get("causes"))

    @property
    def settled(self) -> bool:
        if self.opened:
            return not self.result["services"]
        return self.sound or (self.untouched and not self.elsewhere)

    @property
    def serving(self) -> bool:
        return self.settled

    def causes(self) -> list[str]:
        if self.verdict.get("sentences") and not self.mended:
            times = ", seen twice on the frozen copy" if self.damaged else ""
            sentences = [str(one).rstrip(".") for one in self.verdict["sentences"][:MOST]]
            return [f"{'; '.join(sentences)}{times}"]
        if self.mended and not self.last.get("plan"):
            return ["the database was damaged, and is whole since somebody mended it by hand"]
        if self.restored or self.facts["stage"] == "reopening":
            return [f"the database was damaged, and is that of {self.last.get('name')} since {self.last.get('at') or 'now'}"]
        told = [str(one["sentence"]) for one in self.facts["diagnosis"].get("causes") or [] if not one.get("consequence_of")]
        seen = (self.facts["found"].get("sqlite") or {}).get("sentences") or []
        return told or [clean_line(str(one), 300) for one in seen[:MOST]]

    def planned(self) -> list[str]:
        if not self.check or self.untouched:
            return []
        if self.restored:
            return ["compare the restored database with wallets and chain", "open the shop where they agree, else ask"]
        if self.facts["stage"] == "reopening":
            return ["start what was left down when the shop was opened"]
        if self.facts["stage"] == "begun":
            return [
                f"end the restore of {self.facts['begun'] or 'the database'} that was begun",
                "compare it with wallets and chain",
                "open the shop where they agree, else ask",
            ]
        steps = list(STEPS)
        if self.plan.get("ready"):
            steps.append(f"only with confirm={self.plan['confirm']}: {self.plan['why']}")
        elif self.plan:
            steps.append(f"no restore is possible: {self.plan['why']}")
        return steps

    def questions(self) -> list[dict[str, Any]]:
        found = []
        if self.damaged and self.plan.get("ready"):
            found.append({"what": self.plan["confirm"], "given": self.plan["given"], "why": self._question()})
        elif self.goes_on or (self.damaged and self.verdict.get("thaw") and not self.restored):
            # Given again with the word that opens the shop: the next run asks for both.
            given = self.goes_on and bool(self.reopening.get("given", True))
            found.append({"what": self.verdict["thaw"], "given": given, "why": f"nothing is restored, {GOES_ON}"})
        if self.reopening.get("confirm"):
            found.append({"what": self.reopening["confirm"], "given": self.reopening["given"], "why": self.reopening["why"]})
        return found

    def _question(self) -> str:
        expected = f" ({'; '.join(self.plan['expected'][:MOST])})" if self.plan["expected"] else ""
        other = f"; or confirm={self.verdict['thaw']}: nothing is restored, {GOES_ON}" if self.verdict.get("thaw") else ""
        return f"{self.plan['why']}{expected}{other}"

    def escalations(self) -> list[str]:
        found = []
        if self.verdict.get("state") == "unproven":
            stays = "; the database stays frozen" if self.verdict["stays"] else ""
            found.append(f"whether the database is damaged could not be settled: {self.verdict['why']}{stays}")
        if self._without_a_backup:
            found.append(f"the database is damaged, kept and frozen, and no backup can take its place: {self.plan.get('why')}")
        if self.opened and self.result["services"]:
            found.append(f"the shop was opened, and {', '.join(self.result['services'])} is not healthy")
        if self.elsewhere and not self.check:
            found.append("no damage is seen in the database; what keeps it from working is another matter")
        return found

    def _how_long(self) -> list[str]:
        restored, frozen = epoch(self.result["restored_at"]), epoch(self.facts["frozen_since"])
        if restored is None:
            return []
        limit = self.facts["rto_seconds"]
        if frozen is None:
            return [f"since when it was frozen is unknown, and so is whether it took longer than RTO {span(limit)}"]
        late = ", BREACHED" if restored - frozen > limit else ""
        return [f"restored {span(restored - frozen)} after the freeze (RTO {span(limit)}{late})"]

    def did(self) -> list[str]:
        found = []
        if self.sound:
            found.append("froze the database, examined it twice, and let it go on: it is sound")
        if self.damaged:
            count = len(self.verdict["kept"])
            found.append(f"froze the database, kept {count} file{'' if count == 1 else 's'} of it, ended its writers")
        found += self.result["did"]
        if self.result["keys"]:
            found.append(
                f"{self.result['keys']['archives']} archives of wallet keys are on the desk ({self.result['keys']['where']})"
            )
        found += self._how_long()
        if self.opened:
            found.append(
                f"opened the shop ({self.reopening['why']})" if self.reopening["count"] == 0 else "opened the shop as confirmed"
            )
        return found

    def lost(self) -> list[str]:
        loss = self.result["loss"]
        if not loss:
            return []
        if loss.get("problem"):
            return [f"unknown ({clean_line(str(loss['problem']), 300).rstrip('.')})"]
        tables = [
            f"{name} " + ", ".join(f"{one[change]} {change}" for change in CHANGES if one.get(change))
            for name, one in (loss.get("tables") or {}).items()
            if any(one.get(change) for change in CHANGES)
        ]
        unknown = loss.get("unknown_rows")
        more = f"and {len(tables) - 4} more tables" if len(tables) > 4 else ""
        columns = [f"{name}.{one}" for name, table in (loss.get("tables") or {}).items() for one in table.get("columns") or []]
        without = (
            f"the backup has no column {', '.join(columns[:MOST])}{' …' if len(columns) > MOST else ''}" if columns else ""
        )
        said = [*tables[:4], more, without, f"{unknown} rows unreadable = unknown" if unknown else ""]
        partly = [clean_line(name, 100) for name, table in (loss.get("tables") or {}).items() if table.get("more")]
        if partly:
            named = f"{', '.join(partly[:MOST])}{' …' if len(partly) > MOST else ''}"
            said.append(f"not all of {named} could be read: what else is lost there is unknown")
        if not tables and loss.get("complete"):
            said = ["nothing: every row of the damaged database is in the restored one"]
        if not tables and not loss.get("complete") and len(partly) == len(loss.get("tables") or {}) > 0:
            said = ["unknown: of the damaged database nothing is left that could be compared"]
        seconds = loss.get("seconds_lost")
        breached = ", BREACHED" if isinstance(seconds, (int, float)) and seconds > self.facts["rpo_seconds"] else ""
        window = f"{span(seconds)} of commits" if isinstance(seconds, (int, float)) else "for how long is unknown"
        said.append(f"{window} (RPO {span(self.facts['rpo_seconds'])}{breached})")
        if loss.get("file"):
            said.append(f"list {loss['file']}, also {'encrypted ' if loss.get('sealed') else ''}on {self.facts['desk']}")
        return [one for one in said if one]

    def risks(self) -> list[str]:
        found = [*self.result["problems"], *(self.plan.get("risks") or [])]
        found += [str(one) for one in self.facts["reconciled"].get("notes") or []][:MOST]
        if self.untouched and not self.elsewhere:
            found.append(
                f"values that are wrong in a sound file are not seen: {AGAIN} --limit {self.facts['host']} -e data_corruption_examine=true"
            )
        return found

    def following(self) -> list[str]:
        if self.elsewhere:
            return ["ansible-playbook playbooks/database.yml"]
        if self.verdict.get("state") == "unproven":
            return [AGAIN]
        if self.opened and self.result["services"]:
            return ["ansible-playbook playbooks/outage.yml"]
        return [f"read {MANUAL}"] if self._without_a_backup else []

    @property
    def _without_a_backup(self) -> bool:
        return self.damaged and not self.plan.get("ready") and not self.check and not self.goes_on

    def headline(self) -> str:
        if self.check or self.opened:
            return ""
        count, what = self.reopening.get("count"), "DATABASE AS IT WAS" if self.goes_on else "DATABASE RESTORED"
        if count and not self.reopening["compared"]:
            return f"{what}, SHOP STILL CLOSED (not compared with wallets and chain)"
        if count:
            return f"{what}, SHOP STILL CLOSED ({count} mismatch{'' if count == 1 else 'es'})"
        if self.restored and self.damaged:
            return f"{what}, SHOP NOT OPENED · page {PAGE}"
        if self.damaged:
            return f"DAMAGED AND KEPT, SHOP CLOSED · page {PAGE}"
        return ""
