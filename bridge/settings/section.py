"""The base of a section of settings: frozen, closed, and checked before each value is read."""

import re
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bridge.settings.hidden import remember_secret

_SECRETS = ("password", "sasl_password", "ssl_password", "options")
#: ``user:password@host``, also inside a URI.
_CREDENTIALS = re.compile(r"[^\s:@]*:[^\s@]*@")


class Section(BaseModel):
    """Frozen and closed: an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def refuse_booleans(cls, value: Any) -> Any:
        """Refuse booleans, because Python accepts True as the number 1."""
        if isinstance(value, bool):
            raise ValueError("a boolean is not accepted here")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def refuse_quotes(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse quotes around a value; no name, host, topic, path or URI has them."""
        if isinstance(value, str) and info.field_name not in _SECRETS and is_quoted(value.strip()):
            raise ValueError(
                "the value starts and ends with a quote, as an --env-file of Docker keeps it: "
                "remove both quotes"
            )
        return value

    @field_validator("*", mode="before")
    @classmethod
    def refuse_credentials(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse a user and password where they are not treated as a secret."""
        name = info.field_name or ""
        if (
            isinstance(value, str)
            and name not in (*_SECRETS, "uri")
            and not name.endswith("file")
            and _CREDENTIALS.search(value)
        ):
            raise ValueError(
                "it contains USER:PASSWORD@, which would appear in the output: remove that, and "
                "set the user and the password by their own settings"
            )
        return value

    @model_validator(mode="after")
    def remember_secrets(self) -> Self:
        """Let texts of servers be shown without the secrets."""
        for name, value in self:
            if isinstance(value, SecretStr):
                remember_secret(name, value.get_secret_value())
        return self

    def with_secret(self, name: str, value: str) -> Self:
        """Return a copy with another value of a secret."""
        remember_secret(name, value)
        return self.model_copy(update={name: SecretStr(value)})


def is_quoted(value: str) -> bool:
    """Whether a value starts and ends with the same quote."""
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
