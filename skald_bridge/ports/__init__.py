"""What the services need from the outside, as protocols, a file for each outside; the adapters fulfil them."""

from __future__ import annotations

from skald_bridge.ports.clock import Clock as Clock
from skald_bridge.ports.cluster import Cluster as Cluster
from skald_bridge.ports.documents import Documents as Documents
from skald_bridge.ports.documents import Found as Found
from skald_bridge.ports.documents import Peers as Peers
from skald_bridge.ports.engine import Engine as Engine
from skald_bridge.ports.grants import GrantLog as GrantLog
from skald_bridge.ports.kafka import Publisher as Publisher
from skald_bridge.ports.kafka import Subscription as Subscription
from skald_bridge.ports.links import Births as Births
from skald_bridge.ports.links import NodeLink as NodeLink
from skald_bridge.ports.pictures import Pictures as Pictures
from skald_bridge.ports.pulse import Pulse as Pulse
from skald_bridge.ports.stores import Archive as Archive
from skald_bridge.ports.stores import Cursor as Cursor
from skald_bridge.ports.stores import Journal as Journal
from skald_bridge.ports.stores import Positions as Positions
from skald_bridge.ports.stores import Recordings as Recordings
