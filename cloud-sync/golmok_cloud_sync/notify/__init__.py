"""Telling people of alarms where they are: e-mail, webhooks, Web Push. Knows neither gateway nor server.

A `Notice` is one step of one alarm. It has an id of its own, which goes along in a header of every channel, so that
what is sent twice because an answer was lost can be known as one. `Queue` decides what is sent when; it does no I/O.
"""

from golmok_cloud_sync.notify.channels import Channel, Email, NotSentError, Webhook
from golmok_cloud_sync.notify.config import Config, ConfigError, channels_of, read_config
from golmok_cloud_sync.notify.notice import Notice
from golmok_cloud_sync.notify.queue import Queue, Sending

__all__ = [
    "Channel",
    "Config",
    "ConfigError",
    "Email",
    "NotSentError",
    "Notice",
    "Queue",
    "Sending",
    "Webhook",
    "channels_of",
    "read_config",
]
