"""`edgekit push`: bring a model, or a configuration, to a few devices over ssh."""

from edgekit_device.service.push.cli import push as push
