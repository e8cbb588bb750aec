"""The article for two servers, section by section; every section checks what it shows."""

import shlex
import time
from typing import Any

from deploy.demo import screen
from deploy.demo.processes import BIN, Done, attempt, until
from deploy.demo.screen import Screen
from deploy.demo.stack import Stack
from deploy.demo.telnet import Telnet

DEFAULT = "Default Frontend"
RELAY = "Anonymous Relay"
APPLY = "gatepost apply -f article-on-loopback.yaml"
SENDER = "chris@contoso.com"
RECIPIENT = "kate@fabrikam.com"
LISTED = {"mx1": "127.0.0.10", "mx2": "127.0.0.11"}
STRANGER = "127.0.0.99"
NEWCOMER = "127.0.0.12"
TAKEN = "250 2.1.5 Recipient OK"
REFUSED = "550 5.7.1 Unable to relay"
HALF_THE_WORLD = "0.0.0.0/1"
REFUSED_BY_POLICY, CONFLICT = 11, 12  # exit codes of `gatepost`
ANONYMOUS = r"NT AUTHORITY\ANONYMOUS LOGON"


class DemoFailed(Exception):
    """Something did not go as the story says."""


class Story:
    """Plays on a stack and prints on a screen. Raises DemoFailed, StackError or ClientError."""

    def __init__(self, stack: Stack, out: Screen) -> None:
        self.stack = stack
        self.out = out
        self.sent = 0

    def play(self) -> None:
        self.set_up()
        first = self.publish_the_article()
        self.listed_hosts_relay()
        self.a_stranger_is_refused()
        self.the_smart_host_got_it()
        self.one_more_host()
        self.and_back(first)
        self.an_open_relay_is_refused()
        self.how_do_you_know_it_worked()
        self.a_host_is_blocked()
        self.what_the_fleet_says()

    # --- sections --------------------------------------------------------------------------------------------

    def set_up(self) -> None:
        self.out.section("A control plane, two mail hosts, a smart host")
        self.stack.start_control_plane()
        self.out.good(f"control plane on {self.stack.url}, SQLite")
        self.stack.start_smart_host()
        self.out.good(f"smart host on 127.0.0.1:{self.stack.smart_host_port}, keeps what it gets")
        for name in self.stack.addresses:
            agent = self.stack.enroll(name)
            self.stack.start_agent(name)
            self.out.good(
                f"agent {name} enrolled; will listen on {agent.address}:{agent.port}, once it has a config"
            )

    def publish_the_article(self) -> int:
        self.out.section(f"127.0.0.10 and 127.0.0.11 on {RELAY!r}, a default connector beside it")
        document = self.stack.write_example()
        self.command(
            "apply",
            "-f",
            str(document),
            "--wait",
            "--timeout",
            "40s",
            shown=f"{APPLY} --wait",
        )
        revision = int(next(iter(self.stack.client.revisions.list(1)))["number"])
        self.stack.wait_until_running(revision)
        self.out.good(f"revision {revision} runs on {' and '.join(self.stack.addresses)}")
        return revision

    def listed_hosts_relay(self) -> None:
        self.out.section("A listed host relays, on both servers")
        for server, client in LISTED.items():
            self.relays(server, client)

    def a_stranger_is_refused(self) -> None:
        self.out.section("Any other host does not")
        self.is_refused("mx1", STRANGER)
        self.out.say("It may still write to our own domains, on the default connector:")
        found = self.stack.client.explain("mx1", STRANGER, mail_from=RECIPIENT, rcpt_to=[SENDER])
        self.must(found["reply"], TAKEN, f"{STRANGER} to {SENDER}")
        self.out.show(screen.trace(found))

    def the_smart_host_got_it(self) -> None:
        self.out.section("What the smart host got")
        for message in self.stack.wait_for_mail(self.sent):
            title = f"from {message.sender} to {', '.join(message.recipients)}"
            self.out.show(screen.message(title, message.content))

    def one_more_host(self) -> None:
        self.out.section(f"{NEWCOMER} is added by one call, and published")
        found = self.stack.client.connectors.add_range(RELAY, NEWCOMER, note="scanner, 3rd floor")
        self.out.command(
            f"curl -X PATCH {self.stack.url}/v1/connectors/{found.body['id']} -H 'If-Match: …' "
            f'-d \'{{"remote_ip_ranges": [… , {{"range": "{NEWCOMER}", "note": "scanner, 3rd floor"}}]}}\''
        )
        etag = self.stack.client.draft.etag()
        began = time.monotonic()
        revision = int(self.stack.client.revisions.publish(etag, message="a scanner more")["number"])
        self.stack.wait_until_running(revision)
        took = time.monotonic() - began
        self.out.command(f"curl -X POST {self.stack.url}/v1/revisions -H 'If-Match: {etag}' -d '{{…}}'")
        self.out.good(
            f"revision {revision} runs on both servers, {took * 1000:.0f} ms after it was published"
        )
        self.relays("mx2", NEWCOMER)

    def and_back(self, revision: int) -> None:
        self.out.section("Rolled back, it is refused again")
        self.command("rollback", str(revision), "--reason", "the scanner is gone", "--wait")
        latest = int(next(iter(self.stack.client.revisions.list(1)))["number"])
        self.stack.wait_until_running(latest)
        self.is_refused("mx2", NEWCOMER)

    def an_open_relay_is_refused(self) -> None:
        self.out.section("Two tries at an open relay")
        self.command("anonymous-relay", DEFAULT, expected=CONFLICT)
        self.command("range", "add", RELAY, HALF_THE_WORLD)
        refused = self.command("publish", "--message", "let them all in", expected=REFUSED_BY_POLICY)
        if "blocking" not in refused.stdout + refused.stderr:
            raise DemoFailed("the refusal shows no blocking finding")
        self.is_refused("mx1", STRANGER, quietly=True)
        self.out.good("nothing was published, and no server does anything else than before")
        self.command("range", "remove", RELAY, HALF_THE_WORLD)

    def how_do_you_know_it_worked(self) -> None:
        self.out.section("How do you know this worked?")
        self.command("connectors", "show", RELAY)
        self.command("permissions", RELAY, "--user", ANONYMOUS)

    def a_host_is_blocked(self) -> None:
        client = LISTED["mx1"]
        self.out.section(f"{client} is blocked, in the middle of its session")
        agent = self.stack.agents["mx1"]
        with Telnet(client, agent.address, agent.port) as session:
            session.say("EHLO")
            self.command("block", client, "--reason", "it sends what it should not")
            self.wait_for_denied()
            reply = session.say(f"MAIL FROM:{SENDER}")
            self.out.show(screen.transcript(f"{client} on mx1", session.lines))
            self.must(reply, "421 ", f"{client}, blocked")
        self.command("unblock", client, "--reason", "cleaned up")

    def what_the_fleet_says(self) -> None:
        self.out.section("Health, configs and messages, per server and connector")
        until(lambda: self.delivered() >= self.sent, 20, f"{self.sent} messages counted as delivered")
        self.command("servers")
        self.out.command(f"curl {self.stack.url}/v1/counts")
        self.out.show(screen.counts(self.stack.client.counts()))
        if self.delivered() != self.sent:
            raise DemoFailed(f"{self.sent} messages were sent, {self.delivered()} are counted as delivered")

    # --- what sections are made of -----------------------------------------------------------------------------

    def relays(self, server: str, client: str) -> None:
        """The article's transcript to its end, beside explain's trace."""
        agent = self.stack.agents[server]
        with Telnet(client, agent.address, agent.port) as session:
            session.say("EHLO")
            session.say(f"MAIL FROM:{SENDER}")
            self.must(session.say(f"RCPT TO:{RECIPIENT}"), TAKEN, f"{client} on {server}")
            session.say("DATA")
            self.must(
                session.say("Subject: Test", "", "This is a test message", "."), "250 2.6.0", "the message"
            )
            session.say("QUIT")
        self.sent += 1
        self.explained(server, client, session, TAKEN)

    def is_refused(self, server: str, client: str, *, quietly: bool = False) -> None:
        """The article's transcript as far as it gets."""
        agent = self.stack.agents[server]
        with Telnet(client, agent.address, agent.port) as session:
            session.say("EHLO")
            session.say(f"MAIL FROM:{SENDER}")
            self.must(session.say(f"RCPT TO:{RECIPIENT}"), REFUSED, f"{client} on {server}")
            session.say("QUIT")
        if not quietly:
            self.explained(server, client, session, REFUSED)

    def explained(self, server: str, client: str, session: Telnet, reply: str) -> None:
        found = self.stack.client.explain(server, client, mail_from=SENDER, rcpt_to=[RECIPIENT])
        self.out.beside(screen.transcript(f"{client} on {server}", session.lines), screen.trace(found))
        self.must(found["reply"], reply, f"explain of {client} on {server}")

    def must(self, got: str, expected: str, what: str) -> None:
        if not got.startswith(expected):
            raise DemoFailed(f"{what}: expected {expected!r}, got {got!r}")

    def command(self, *words: str, shown: str = "", expected: int = 0) -> Done:
        """Run and show a `gatepost` command; its exit code has to be the expected one."""
        done = attempt([BIN / "gatepost", *words], self.stack.environment())
        self.out.command(shown or shlex.join(["gatepost", *words]), done.stdout + done.stderr)
        if done.code != expected:
            raise DemoFailed(f"gatepost {words[0]} ended with {done.code}, not {expected}")
        return done

    def wait_for_denied(self) -> None:
        """Until a new session of the blocked client is turned away on mx1."""
        agent = self.stack.agents["mx1"]

        def turned_away() -> bool:
            with Telnet(LISTED["mx1"], agent.address, agent.port) as session:
                return not session.greeting.startswith("220")

        until(turned_away, 10, "mx1 knows of the block")

    def delivered(self) -> int:
        totals: dict[str, Any] = self.stack.client.counts()["totals"]
        return int(totals.get("delivered", 0))
