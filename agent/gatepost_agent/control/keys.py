"""The keys that may sign for this agent, and how they change: each key ring is signed by a key of the one before."""

import logging
import re

from pydantic import ValidationError

from gatepost.signing import PublicKey, SignatureError, Signed, parse_public_key, verify
from gatepost.wire import Keyring
from gatepost_agent.control.identity import Trust, load_trust, save_trust
from gatepost_agent.control.link import Link, LinkError
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.errors import UsageRefused

log = logging.getLogger(__name__)

PATH = "/agent/v1/keyring"
_FINGERPRINT = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)


class Keys:
    """Trusted keys on disk; an operator may vouch for one by its fingerprint when the old one is lost."""

    def __init__(self, folder: StateFolder, link: Link) -> None:
        self._folder = folder
        self._link = link
        self._trust = load_trust(folder)

    def trusted(self) -> tuple[PublicKey, ...]:
        """The keys that count now."""
        return self._trust.public_keys

    def knows(self, signed: Signed) -> bool:
        """Whether a trusted key claims to have signed this."""
        return any(key.fingerprint == signed.key for key in self.trusted())

    async def refresh(self) -> None:
        """Ask for the key ring; what is not signed by a key of ours changes nothing. Raises LinkError."""
        content = await self._link.get(PATH)
        try:
            self._take(Signed.model_validate_json(content))
        except (ValidationError, SignatureError) as error:
            log.error("the control plane's key ring is not trusted: %s", error)

    def expect(self, fingerprint: str) -> str:
        """Trust a key once the control plane shows it; returns the fingerprint. Raises UsageRefused, OSError."""
        found = _FINGERPRINT.fullmatch(fingerprint.strip())
        if found is None:
            raise UsageRefused(f"{fingerprint!r} is not a fingerprint: write sha256: and 64 hex digits")
        wanted = f"sha256:{found[1].lower()}"
        if wanted not in {key.fingerprint for key in self.trusted()}:
            expected = tuple(dict.fromkeys((*self._trust.expected, wanted)))
            self._save(self._trust.model_copy(update={"expected": expected}))
        return wanted

    def _take(self, signed: Signed) -> None:
        try:
            ring = Keyring.model_validate_json(verify(signed, "keyring", self.trusted()))
            keys = tuple(parse_public_key(text).text for text in ring.keys)
        except SignatureError:
            vouched = self._vouched(signed)
            if not vouched:
                raise
            keys = (*self._trust.keys, *vouched)
        known = {parse_public_key(text).fingerprint for text in keys}
        expected = tuple(fingerprint for fingerprint in self._trust.expected if fingerprint not in known)
        if keys != self._trust.keys or expected != self._trust.expected:
            log.warning("the keys that may sign for this agent are now %s", ", ".join(sorted(known)))
            self._save(Trust(keys=tuple(dict.fromkeys(keys)), expected=expected))

    def _vouched(self, signed: Signed) -> tuple[str, ...]:
        """The keys of a ring nobody signed for us, as far as an operator expects them by fingerprint."""
        ring = Keyring.model_validate_json(signed.unverified())
        keys = (parse_public_key(text) for text in ring.keys)
        return tuple(key.text for key in keys if key.fingerprint in self._trust.expected)

    def _save(self, trust: Trust) -> None:
        save_trust(self._folder, trust)
        self._trust = trust


async def refresh_quietly(keys: Keys) -> None:
    """Refresh where not reaching the control plane is no reason to stop."""
    try:
        await keys.refresh()
    except LinkError as error:
        log.warning("the key ring cannot be had: %s", error)
