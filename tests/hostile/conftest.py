"""Servers of the acceptance tests, and the git host, for those who mean harm."""

from tests.acceptance.api.conftest import api_token, api_url
from tests.acceptance.conftest import data_dir, environment, server
from tests.acceptance.git.conftest import certificate, git_host

__all__ = ["api_token", "api_url", "certificate", "data_dir", "environment", "git_host", "server"]
