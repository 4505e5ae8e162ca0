"""The errors this agent raises, by what a caller can do about them."""


class ProxyError(Exception):
    """Anything this agent raises on purpose."""


class SettingsError(ProxyError):
    """The configuration or the command line can't be used; the message says where and why."""


class ListenError(ProxyError):
    """A port is taken, and the configuration says not to wait for it."""


class RulesetError(ProxyError):
    """The kernel refused a transaction, and nothing of it was applied: send the whole ruleset."""


class ConntrackError(ProxyError):
    """The kernel could not delete flows: they live until they time out."""
