"""Strong ETags made of version counters, and the If-Match that every change to an existing object needs.

RFC 9110 section 8.8.3 and 13.1.1, RFC 6585 section 3 (428).
"""

from typing import Annotated, NamedTuple

from fastapi import Depends, Header, Response

from gatepost_api.errors import PreconditionFailed, PreconditionRequired


def etag(version: int) -> str:
    return f'"{version}"'


def set_etag(response: Response, version: int) -> None:
    response.headers["ETag"] = etag(version)


class Precondition(NamedTuple):
    """The tags of If-Match; `*` takes any version of an object that exists."""

    tags: frozenset[str]

    def check(self, version: int, what: str) -> None:
        """PreconditionFailed, with the present tag, unless the object still has the version that was read."""
        present = etag(version)
        if "*" in self.tags or present in self.tags:
            return
        raise PreconditionFailed(
            f"{what} has changed since it was read: it is now {present}. Read it again, then repeat the change.",
            headers={"ETag": present},
        )


Tag = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The ETag that the object had when it was read; 428 without, 412 when old",
    ),
]


async def if_match(given: Tag = None) -> Precondition:
    if given is None:
        raise PreconditionRequired("Send If-Match with the ETag that the object had when it was read.")
    return Precondition(tags=frozenset(tag.strip() for tag in given.split(",")))


async def optional_if_match(given: Tag = None) -> Precondition | None:
    return None if given is None else await if_match(given)


IfMatch = Annotated[Precondition, Depends(if_match)]
# For verbs that say what shall be, whatever was: they check the tag only when one is sent.
OptionalIfMatch = Annotated[Precondition | None, Depends(optional_if_match)]
# For the schema: what an endpoint that gives a tag says of it.
ETAG_HEADER = {"headers": {"ETag": {"schema": {"type": "string"}, "description": "The object's version"}}}
