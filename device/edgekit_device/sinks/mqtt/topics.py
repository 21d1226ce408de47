"""Every MQTT topic there is."""

from dataclasses import dataclass

from edgekit_device.config.settings import MqttSettings


@dataclass(frozen=True)
class Topics:
    """The topics of one device.

    Args:
        prefix: of the device's own topics.
        discovery_prefix: Home Assistant's; empty where it is not to know of the device.
        device_name: letters, digits, - and _.
    """

    prefix: str
    discovery_prefix: str
    device_name: str

    @classmethod
    def of(cls, settings: MqttSettings, device_name: str) -> "Topics":
        """The topics as the settings want them."""
        return cls(settings.prefix, settings.discovery, device_name)

    def own(self, name: str) -> str:
        """A topic of the device: `status`, `device`, `event`, `state`, `health`, `picture` or
        `control`.
        """
        return f"{self.prefix}/{self.device_name}/{name}"

    @property
    def home_assistant_status(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.discovery_prefix}/status"

    def discovery(self, entity: str, component: str = "sensor") -> str:
        """Where an entity of the device is announced to Home Assistant, as one of a kind."""
        return f"{self.discovery_prefix}/{component}/edgekit_{self.device_name}/{entity}/config"
