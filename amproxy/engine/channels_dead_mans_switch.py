"""The call that says that amproxy is well: a GET of an address that somebody outside watches."""

from __future__ import annotations

from amproxy import __version__
from amproxy.config.structs import DeadMansSwitch, HttpSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.http import TIMEOUT, Clients, call, failure
from amproxy.notify.channels.http_settings import toward
from amproxy.secret import reveal

_WHO = "dead man's switch"


class DeadMansSwitchCaller:
    """Any 2xx is success; a redirect is not."""

    def __init__(self) -> None:
        self._clients = Clients()

    async def call(self, switch: DeadMansSwitch, http: HttpSettings) -> None:
        """Say that all is well, within ten seconds. http: `http_config` of `global`. Raises DeliveryError, whose text shows no URL."""
        try:
            url = reveal(switch.url, switch.url_file)
        except (OSError, UnicodeError) as error:
            raise DeliveryError(f"{_WHO}: url_file cannot be read: {type(error).__name__}", permanent=True) from None
        client = self._clients.client(toward(http, url))
        answer = await call(
            client, _WHO, url, within=TIMEOUT, method="GET", ignore_body=True, headers={"User-Agent": f"amproxy/{__version__}"}
        )
        if not 200 <= answer.status < 300:
            raise failure(answer, _WHO)

    async def close(self) -> None:
        await self._clients.close()
