"""What is said about the draft beside the document itself."""

from pydantic import BaseModel


class Changes(BaseModel):
    """What a new draft changed, as `connectors/<name>` and the like."""

    added: list[str] = []
    changed: list[str] = []
    removed: list[str] = []


class DraftSaved(BaseModel):
    """The draft was stored; `version` is in its ETag too."""

    version: int
    changes: Changes


class Removed(BaseModel):
    """The object is gone."""

    removed: str
