"""The OpenAPI document against the running API: every answer is one that it describes, whatever is asked."""

from __future__ import annotations

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import ChecksConfig, GenerationConfig, SchemathesisConfig

from tests.integration.api.test_tasks import create
from tests.services.rest import ENDED, Rest

pytestmark = pytest.mark.server
WRITES = {"get", "put", "post", "delete"}
